//! What is said of files, and when they are read again.

use std::time::Duration;

use tower_mesh::api::Resources;
use tower_mesh::diagnostic::Severity;
use tower_mesh::mesh::Mesh;

use crate::pki::{Authority, Folder};
use crate::server::{config, mesh, rules, serve, told};

/// What is found in these settings: severity, code, path and message.
fn found(tls: &str) -> Vec<String> {
    let tls = format!("tls: {{{tls}}}");
    let found = match Mesh::builder().yaml(&rules("HTTP", 1, "", &tls)).build() {
        Ok((_, report)) => report.diagnostics().clone(),
        Err(found) => found,
    };
    let about = found.iter().filter(|it| it.severity() != Severity::Note);
    about
        .map(|it| {
            format!(
                "{} {} {}: {}",
                it.severity(),
                it.code(),
                it.path(),
                it.message()
            )
        })
        .collect()
}

const AT: &str = "spec.trafficPolicy.tls";

#[test]
fn each_fault_names_its_field_and_file() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let (mine, other) = (authority.issue(&["x"]), authority.issue(&["x"]));
    let roots = folder.write("ca.pem", &authority.pem());
    let chain = folder.write("c.pem", &mine.pem);
    let key = folder.write("k.pem", &mine.key_pem());
    let other = folder.write("other.pem", &other.key_pem());
    let old = folder.write("old.pem", &authority.issue_expired(&["x"]).pem);
    let empty = folder.write("empty.pem", "nothing\n");
    let absent = folder.path().join("absent.pem");
    let absent = absent.to_str().unwrap();
    let mutual = |chain: &str, key: &str| {
        format!(
            "mode: MUTUAL, caCertificates: {roots}, clientCertificate: {chain}, privateKey: {key}"
        )
    };
    let simple = |rest: &str| format!("mode: SIMPLE, {rest}");
    assert_eq!(found(&mutual(&chain, &key)), [""; 0]);
    for (settings, want) in [
        (
            simple(&format!("caCertificates: {absent}")),
            format!("warning missing-file {AT}.caCertificates: the file {absent} does not exist"),
        ),
        (
            simple(&format!("caCertificates: {empty}")),
            format!("error invalid-file {AT}.caCertificates: {empty} holds no certificate"),
        ),
        (
            simple(&format!("caCertificates: {old}")),
            format!(
                "warning expired {AT}.caCertificates: {old} holds a certificate that has expired"
            ),
        ),
        (
            simple(&format!("caCertificates: {roots}, caCrl: {roots}")),
            format!("error invalid-file {AT}.caCrl: {roots} holds no revocation list"),
        ),
        (
            mutual(&chain, &other),
            format!(
                "error invalid-file {AT}.privateKey: {other} is not the key of the certificate in {chain}"
            ),
        ),
        (
            mutual(&chain, &chain),
            format!(
                "error invalid-file {AT}.privateKey: {chain} holds no private key that is not encrypted"
            ),
        ),
        (
            simple("sni: \"not a name\""),
            format!(
                "error invalid-value {AT}.sni: \"not a name\" is not a name a server can be asked for"
            ),
        ),
        (
            "mode: MUTUAL".to_owned(),
            format!(
                "error missing-field {AT}.clientCertificate: client certificate required for mutual tls"
            ),
        ),
        (
            simple("credentialName: secret"),
            format!(
                "warning missing-file {AT}.credentialName: credentialName names a Kubernetes secret, and nobody said where those are mounted"
            ),
        ),
        (
            simple("insecureSkipVerify: true, subjectAltNames: [x]"),
            format!(
                "error exclusive {AT}.insecureSkipVerify: cannot specify CaCertificates or CredentialName or SubjectAltNames when InsecureSkipVerify is set true"
            ),
        ),
    ] {
        let found = found(&settings);
        assert!(found.contains(&want), "{want}\n{found:#?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_while_files_are_missing_or_secrets_are_named() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let (port, seen) = serve(config(&authority.issue(&["a.com"]), None), false).await;
    let path = folder.path().join("late.pem");
    let path = path.to_str().unwrap();
    let mesh = mesh(
        "HTTP",
        port,
        &format!("tls: {{mode: SIMPLE, caCertificates: {path}}}"),
    );
    let told_of = told(&mesh).await;
    assert!(told_of.contains("late.pem_is_not_there"), "{told_of}");
    folder.write("late.pem", &authority.pem());
    assert_eq!(told(&mesh).await, "a.com - nobody");
    let rules = rules(
        "HTTP",
        port,
        "",
        "tls: {mode: SIMPLE, credentialName: secret}",
    );
    let (mesh, _) = Mesh::builder().yaml(&rules).build().unwrap();
    let before = seen.connections();
    let told_of = told(&mesh).await;
    assert!(told_of.contains("Kubernetes_secret"), "{told_of}");
    assert!(seen.connections() <= before + 1);
}

#[tokio::test]
async fn changed_files_hold_for_new_connections() {
    let (old, new, folder) = (Authority::new("old"), Authority::new("new"), Folder::new());
    let roots = folder.write("ca.pem", &old.pem());
    let server = async |authority: &Authority| {
        let mut server = config(&authority.issue(&["a.com"]), None);
        server.alpn_protocols = vec![b"h2".to_vec()];
        serve(server, true).await
    };
    let ((first, seen), (second, _)) = (server(&old).await, server(&new).await);
    let tls = format!("tls: {{mode: SIMPLE, caCertificates: {roots}}}");
    let mesh = mesh("HTTP2", first, &tls);
    const GOOD: &str = "a.com h2 nobody";
    assert_eq!(told(&mesh).await, GOOD);
    // Longer, so that its size tells even where times are coarse.
    folder.write("ca.pem", &format!("# new\n{}", new.pem()));
    let lead_to = |port| {
        let rules = Resources::from_yaml("it", &rules("HTTP2", port, "", &tls));
        mesh.apply(&rules).unwrap();
    };
    lead_to(second);
    let told_of = told(&mesh).await;
    assert!(
        told_of.contains("UnknownIssuer"),
        "not looked at within 5 s: {told_of}"
    );
    later().await;
    assert_eq!(told(&mesh).await, GOOD);
    // What is half written leaves the last good ones in force.
    folder.write("ca.pem", "-----BEGIN");
    later().await;
    assert_eq!(seen.connections(), 1);
    let (third, _) = server(&new).await;
    let (other, _) = server(&old).await;
    let report = mesh.apply(&Resources::from_yaml(
        "it",
        &rules("HTTP2", third, "", &tls),
    ));
    assert!(
        report.is_err(),
        "rules are not put in force beside such a file"
    );
    folder.write("ca.pem", &new.pem());
    lead_to(third);
    folder.write("ca.pem", "-----BEGIN");
    later().await;
    assert_eq!(told(&mesh).await, GOOD);
    folder.write("ca.pem", &old.pem());
    lead_to(other);
    later().await;
    assert_eq!(told(&mesh).await, GOOD);
}

/// Each file by itself: what the client shows, its key, and the list of what is revoked.
#[tokio::test]
async fn every_file_is_read_again() {
    let (authority, stranger) = (Authority::new("ca"), Authority::new("stranger"));
    let folder = Folder::new();
    let roots = folder.write("ca.pem", &authority.pem());
    let list = folder.write("crl.pem", &authority.revoke(&[]));
    let (mine, theirs) = (authority.issue(&["x"]), stranger.issue(&["x"]));
    let chain = folder.write("c.pem", &mine.pem);
    let key = folder.write("k.pem", &mine.key_pem());
    let server = config(&authority.issue_numbered(&["a.com"], 7), Some(&authority));
    let (port, _) = serve(server, false).await;
    let tls = format!(
        "tls: {{mode: MUTUAL, caCertificates: {roots}, clientCertificate: {chain}, \
         privateKey: {key}, caCrl: {list}}}, \
         connectionPool: {{http: {{maxRequestsPerConnection: 1}}}}"
    );
    let mesh = mesh("HTTP", port, &tls);
    const GOOD: &str = "a.com - somebody";
    const STRANGER: &str = "503 UC {connection_termination}";
    assert_eq!(told(&mesh).await, GOOD);
    // As long as they do not fit, what was there holds.
    folder.write("c.pem", &format!("# theirs\n{}", theirs.pem));
    later().await;
    assert_eq!(told(&mesh).await, GOOD);
    folder.write("k.pem", &format!("# theirs\n{}", theirs.key_pem()));
    later().await;
    assert_eq!(told(&mesh).await, STRANGER);
    folder.write("c.pem", &mine.pem);
    folder.write("k.pem", &mine.key_pem());
    later().await;
    assert_eq!(told(&mesh).await, GOOD);
    folder.write("crl.pem", &authority.revoke(&[6, 7]));
    later().await;
    let revoked = told(&mesh).await;
    assert!(revoked.ends_with("Revoked}"), "{revoked}");
}

/// While the first connection waits for files, the answer says which, and what is wrong with it.
#[tokio::test]
async fn a_failed_connection_names_its_file() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let (port, _) = serve(config(&authority.issue(&["a.com"]), None), false).await;
    let mine = authority.issue(&["x"]);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tls = format!(
        "tls: {{mode: MUTUAL, caCertificates: {}, clientCertificate: {}, privateKey: {}, caCrl: {}}}",
        path("ca.pem"),
        path("c.pem"),
        path("k.pem"),
        path("crl.pem")
    );
    let mesh = mesh("HTTP", port, &tls);
    for (name, wrong, says, right) in [
        ("c.pem", "nothing", "holds_no_certificate", mine.pem.clone()),
        ("k.pem", "nothing", "holds_no_private_key", mine.key_pem()),
        ("ca.pem", "nothing", "holds_no_certificate", authority.pem()),
        (
            "crl.pem",
            "nothing",
            "holds_no_revocation_list",
            authority.revoke(&[]),
        ),
    ] {
        let missing = told(&mesh).await;
        let absent = format!("{}_is_not_there", path(name));
        assert!(missing.starts_with("503 UF"), "{name}: {missing}");
        assert!(missing.contains(&absent), "{name}: {missing}");
        folder.write(name, wrong);
        let bad = told(&mesh).await;
        let said = format!("{}_{says}", path(name));
        assert!(bad.contains(&said), "{name}: {bad}");
        folder.write(name, &right);
    }
    assert_eq!(told(&mesh).await, "a.com - nobody");
}

#[tokio::test]
async fn connections_that_exist_outlive_their_files() {
    let (authority, folder) = (Authority::new("old"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let mut server = config(&authority.issue(&["a.com"]), None);
    server.alpn_protocols = vec![b"h2".to_vec()];
    let (port, seen) = serve(server, true).await;
    let tls = format!("tls: {{mode: SIMPLE, caCertificates: {roots}}}");
    let mesh = mesh("HTTP2", port, &tls);
    assert_eq!(told(&mesh).await, "a.com h2 nobody");
    folder.write("ca.pem", &Authority::new("new").pem());
    later().await;
    assert_eq!(told(&mesh).await, "a.com h2 nobody");
    assert_eq!(seen.connections(), 1);
}

/// Lets the time between two looks at files go by.
async fn later() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
}
