//! A canary release, played out on this machine: two versions of a service, real
//! sockets between them, and rules that change while requests are under way.
//!
//! ```text
//! cargo run --release --example canary            # watch it
//! cargo run --release --example canary -- --json  # for a script
//! ```
//!
//! The rules are the YAML files beside this program, as they would be applied to a
//! cluster. Everything stays on the loopback interface and ends by itself.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

mod phase;
mod play;
mod upstream;

use std::error::Error;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use tower_mesh::api::{Resources, Spec};
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;

use phase::{Carry, Mark, Phase, Played, Served, Share};
use play::Play;
use upstream::Upstream;

const MESH: &str = include_str!("mesh.yaml");

/// Plays a canary release: all to v1, half and half, v2 for testers, nine to one; then retries, a
/// mirror, faults and a timeout.
#[derive(Debug, Parser)]
#[command(name = "canary", version)]
struct Arguments {
    /// Print one JSON object instead of a picture
    #[arg(long)]
    json: bool,
    /// How many requests each phase sends
    #[arg(long, default_value_t = 1000, value_name = "N",
          value_parser = clap::value_parser!(u64).range(300..=100_000))]
    requests: u64,
    /// Roll repeatable dice
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

const PHASES: [Phase; 9] = [
    Phase {
        name: "all-v1",
        about: "every request to v1",
        rules: include_str!("all-v1.yaml"),
        v2: Share::exactly(0),
        marked: None,
        served: Served::Once,
        carry: Carry::Nothing,
        held: true,
    },
    Phase {
        name: "split-50-50",
        about: "half to v1, half to v2",
        rules: include_str!("split-50-50.yaml"),
        v2: Share::rolled(50),
        marked: None,
        served: Served::Once,
        carry: Carry::Nothing,
        held: true,
    },
    Phase {
        name: "header-debug",
        about: "v2 for requests with `user: debug`, which every second one carries",
        rules: include_str!("header-debug.yaml"),
        v2: Share::exactly(50),
        marked: None,
        served: Served::Once,
        carry: Carry::Tester,
        held: true,
    },
    Phase {
        name: "shift-90-10",
        about: "nine to v1, one to v2; applied anew while requests are under way",
        rules: include_str!("shift-90-10.yaml"),
        v2: Share::rolled(10),
        marked: None,
        served: Served::Once,
        carry: Carry::Nothing,
        held: true,
    },
    Phase {
        name: "retry",
        about: "v1 fails every third request once; no client sees it",
        rules: include_str!("retry.yaml"),
        v2: Share::exactly(0),
        marked: None,
        served: Served::AndAgainIfFailed,
        carry: Carry::FailOnce,
        held: true,
    },
    Phase {
        name: "mirror",
        about: "v1 answers, v2 gets a copy of every request",
        rules: include_str!("mirror.yaml"),
        v2: Share::exactly(50),
        marked: None,
        served: Served::ByBoth,
        carry: Carry::Nothing,
        held: true,
    },
    Phase {
        name: "fault-delay",
        about: "half of the requests are held back 20 ms",
        rules: include_str!("fault-delay.yaml"),
        v2: Share::exactly(0),
        marked: Some(Mark {
            flags: "DI",
            status: 200,
            share: Share::rolled(50),
        }),
        served: Served::Once,
        carry: Carry::Nothing,
        held: false,
    },
    Phase {
        name: "fault-abort",
        about: "half of the requests are answered with 500, and v1 never sees them",
        rules: include_str!("fault-abort.yaml"),
        v2: Share::exactly(0),
        marked: Some(Mark {
            flags: "FI",
            status: 500,
            share: Share::rolled(50),
        }),
        served: Served::UnlessMarked,
        carry: Carry::Nothing,
        held: false,
    },
    Phase {
        name: "timeout",
        about: "every second request takes a second, and 250 ms are allowed",
        rules: include_str!("timeout.yaml"),
        v2: Share::exactly(0),
        marked: Some(Mark {
            flags: "UT",
            status: 504,
            share: Share::exactly(50),
        }),
        served: Served::Once,
        carry: Carry::Slow,
        held: false,
    },
];

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = Arguments::parse();
    let upstreams = [Upstream::start("v1").await?, Upstream::start("v2").await?];

    let mut builder = Mesh::builder().resources(rules(PHASES[0].rules, &upstreams));
    if let Some(seed) = arguments.seed {
        builder = builder.rng(Rng::seeded(seed));
    }
    let (mesh, _) = builder.build()?;

    let mut play = Play {
        mesh,
        upstreams,
        requests: arguments.requests,
        live: !arguments.json && std::io::stdout().is_terminal(),
        quiet: arguments.json,
    };
    let mut played = Vec::new();
    for phase in &PHASES {
        played.push(play.phase(phase).await?);
    }

    let lost: u64 = played.iter().map(|it| it.lost).sum();
    let ok = played.iter().all(|it| it.ok);
    if arguments.json {
        let phases: Vec<_> = played.iter().map(Played::to_json).collect();
        println!("{}", json!({"phases": phases, "lost": lost, "ok": ok}));
    } else if ok {
        println!("\nAll phases within their tolerance, no request lost.");
    } else {
        println!("\nNot every phase went as its rules say; see above. Requests lost: {lost}.");
    }
    Ok(match ok {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The mesh and one phase's rules, with the ports the upstreams were given.
fn rules(rules: &str, upstreams: &[Upstream; 2]) -> Resources {
    let mut resources = Resources::from_yaml("mesh.yaml", MESH);
    resources.append(Resources::from_yaml("rules.yaml", rules));
    for resource in resources.iter_mut() {
        let Spec::ServiceEntry(entry) = &mut resource.spec else {
            continue;
        };
        for endpoint in &mut entry.endpoints {
            let version = endpoint.labels.get("version").map(String::as_str);
            if let Some(upstream) = upstreams.iter().find(|it| Some(it.version) == version) {
                endpoint
                    .ports
                    .insert("http".to_owned(), upstream.port.into());
            }
        }
    }
    resources
}
