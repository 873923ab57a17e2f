//! `canary`: every phase as its rules say, and nothing lost.

use serde_json::Value;

use super::program;

#[test]
fn canary_plays_all_phases_and_loses_nothing() {
    let output = program("canary")
        .args(["--json", "--requests", "300"])
        .output()
        .unwrap();
    let played: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{played}");
    assert_eq!(
        (&played["ok"], &played["lost"]),
        (&Value::Bool(true), &0.into())
    );
    let phases = played["phases"].as_array().unwrap();
    let names: Vec<_> = phases
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "all-v1",
            "split-50-50",
            "header-debug",
            "shift-90-10",
            "retry",
            "mirror",
            "fault-delay",
            "fault-abort",
            "timeout"
        ]
    );
    let served = |phase: &Value| {
        let served = |version: &str| phase["by_version"][version].as_u64().unwrap();
        (served("v1"), served("v2"))
    };
    for phase in &phases[..6] {
        assert_eq!(phase["requests"], 300);
        assert_eq!(phase["status"], serde_json::json!({"200": 300}));
        assert_eq!(phase["flags"], serde_json::json!({}));
    }
    for phase in &phases[..4] {
        let (v1, v2) = served(phase);
        assert_eq!(v1 + v2, 300, "{phase}");
    }
    assert_eq!(served(&phases[0]), (300, 0));
    assert_eq!(served(&phases[2]), (150, 150));
    // A third failed once and was tried again.
    assert_eq!(served(&phases[4]), (400, 0));
    assert_eq!(served(&phases[5]), (300, 300));
    let delayed = phases[6]["flags"]["DI"].as_u64().unwrap();
    assert!((107..=193).contains(&delayed), "{}", phases[6]);
    assert_eq!(served(&phases[6]), (300, 0));
    let aborted = phases[7]["flags"]["FI"].as_u64().unwrap();
    assert_eq!(served(&phases[7]), (300 - aborted, 0));
    assert_eq!(phases[7]["status"]["500"], aborted);
    assert_eq!(phases[8]["flags"], serde_json::json!({"UT": 150}));
    assert_eq!(
        phases[8]["status"],
        serde_json::json!({"200": 150, "504": 150})
    );
}
