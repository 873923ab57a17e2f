//! Whom a client believes.

use crate::pki::{Authority, Folder, Issued, self_signed};
use crate::server::{build, config, mesh, rules, serve, told};
use tower_mesh::mesh::Mesh;

/// What a client of `a.com` with these settings is told by a server that shows this.
async fn shown(issued: &Issued, settings: &str) -> String {
    let (port, _) = serve(config(issued, None), false).await;
    told(&mesh(
        "HTTP",
        port,
        &format!("tls: {{mode: SIMPLE, {settings}}}"),
    ))
    .await
}

fn refused(why: &str) -> String {
    format!("503 UF {{remote_connection_failure|TLS_error:_{why}}}")
}

const GOOD: &str = "a.com - nobody";

#[tokio::test]
async fn signers_times_and_names_are_checked() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let trusting = format!("caCertificates: {roots}");
    let check = async |issued: Issued| shown(&issued, &trusting).await;
    assert_eq!(check(authority.issue(&["a.com"])).await, GOOD);
    assert_eq!(check(authority.issue(&["x.org", "a.com"])).await, GOOD);
    let stranger = Authority::new("stranger").issue(&["a.com"]);
    assert_eq!(
        check(stranger).await,
        refused("invalid_peer_certificate:_UnknownIssuer")
    );
    let expired = check(authority.issue_expired(&["a.com"])).await;
    assert!(
        expired.starts_with("503 UF") && expired.contains("certificate_expired"),
        "{expired}"
    );
    let other = check(authority.issue(&["b.com"])).await;
    assert!(
        other.starts_with("503 UF") && other.contains("for_[b.com],_not_for_[a.com]"),
        "{other}"
    );
}

#[tokio::test]
async fn nobody_is_checked_where_a_rule_says_so() {
    let stranger = Authority::new("stranger").issue_expired(&["b.com"]);
    assert_eq!(shown(&stranger, "insecureSkipVerify: true").await, GOOD);
}

#[tokio::test]
async fn the_systems_list_holds_where_no_file_is_named() {
    let stranger = Authority::new("stranger").issue(&["a.com"]);
    let told = shown(&stranger, "").await;
    assert!(
        told.starts_with("503 UF {remote_connection_failure|TLS_error:"),
        "{told}"
    );
}

/// The list is read once in a process, and where it lies can be said by the environment: so this asks
/// itself again in another process.
#[tokio::test]
async fn whom_the_system_trusts_is_believed() {
    const NAME: &str = "trust::whom_the_system_trusts_is_believed";
    const PORT: &str = "TOWER_MESH_TEST_PORT";
    if let Ok(port) = std::env::var(PORT) {
        let mesh = mesh("HTTP", port.parse().unwrap(), "tls: {mode: SIMPLE}");
        assert_eq!(told(&mesh).await, GOOD);
        return;
    }
    let (authority, folder) = (Authority::new("known to the system"), Folder::new());
    let list = folder.write("system.pem", &authority.pem());
    let (port, seen) = serve(config(&authority.issue(&["a.com"]), None), false).await;
    let again = tokio::task::spawn_blocking(move || {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", NAME]).env(PORT, port.to_string());
        again.env("SSL_CERT_FILE", list).env_remove("SSL_CERT_DIR");
        again.output().unwrap()
    });
    let again = again.await.unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(
        again.status.success() && said.contains("1 passed"),
        "{said}"
    );
    assert_eq!(seen.connections(), 1);
}

#[tokio::test]
async fn a_certificate_that_signed_itself_may_be_the_trusted_one() {
    let folder = Folder::new();
    let issued = self_signed(&["a.com"]);
    let trusted = format!("caCertificates: {}", folder.write("it.pem", &issued.pem));
    assert_eq!(shown(&issued, &trusted).await, GOOD);
    let other = format!(
        "caCertificates: {}",
        folder.write("other.pem", &self_signed(&["a.com"]).pem)
    );
    assert!(shown(&issued, &other).await.starts_with("503 UF"));
}

#[tokio::test]
async fn one_of_the_subject_alternative_names_must_be_there() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let account = "spiffe://cluster.local/ns/shop/sa/web";
    for (carries, wants, good) in [
        (account, format!("[x.org, \"{account}\"]"), true),
        (account, format!("[\"{account}2\"]"), false),
        ("b.com", "[b.com]".to_owned(), true),
        ("*.b.com", "[www.b.com]".to_owned(), true),
        ("*.b.com", "[www.c.com]".to_owned(), false),
        ("10.0.0.1", "[10.0.0.1]".to_owned(), true),
        // The host itself is no longer what counts.
        ("a.com", "[b.com]".to_owned(), false),
    ] {
        let issued = authority.issue(&[carries]);
        let told = shown(
            &issued,
            &format!("caCertificates: {roots}, subjectAltNames: {wants}"),
        )
        .await;
        assert_eq!(told == GOOD, good, "{carries} for {wants}: {told}");
    }
}

#[tokio::test]
async fn a_service_entry_names_them_too() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let (port, _) = serve(config(&authority.issue(&["b.com"]), None), false).await;
    let check = async |entry: &str, tls: &str| {
        let tls = format!("tls: {{mode: SIMPLE, caCertificates: {roots}{tls}}}");
        let rules = rules("HTTP", port, entry, &tls);
        told(&build(Mesh::builder().yaml(&rules))).await == GOOD
    };
    assert!(check("subjectAltNames: [b.com]", "").await);
    assert!(!check("subjectAltNames: [c.com]", "").await);
    // The rule's own stand instead of them.
    assert!(!check("subjectAltNames: [b.com]", ", subjectAltNames: [c.com]").await);
}

#[tokio::test]
async fn revoked_certificates_are_refused() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let list = folder.write("crl.pem", &authority.revoke(&[7]));
    let settings = format!("caCertificates: {roots}, caCrl: {list}");
    assert_eq!(
        shown(&authority.issue_numbered(&["a.com"], 6), &settings).await,
        GOOD
    );
    assert_eq!(
        shown(&authority.issue_numbered(&["a.com"], 7), &settings).await,
        refused("invalid_peer_certificate:_Revoked")
    );
    // A list of another signer says nothing of this one's certificates.
    let other = folder.write("other.pem", &Authority::new("other").revoke(&[]));
    let settings = format!("caCertificates: {roots}, caCrl: {other}");
    assert!(
        shown(&authority.issue(&["a.com"]), &settings)
            .await
            .starts_with("503 UF")
    );
}
