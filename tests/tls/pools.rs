//! Which connections are shared.

use tower_mesh::api::Resources;

use crate::pki::{Authority, Folder};
use crate::server::{config, mesh, rules, serve, told};

#[tokio::test]
async fn connections_are_kept_and_change_with_the_settings() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let mut server = config(&authority.issue(&["a.com", "b.com"]), None);
    server.alpn_protocols = vec![b"h2".to_vec()];
    let (port, seen) = serve(server, true).await;
    let tls = |sni: &str| format!("tls: {{mode: SIMPLE, caCertificates: {roots}{sni}}}");
    let mesh = mesh("HTTP2", port, &tls(""));
    for _ in 0..3 {
        assert_eq!(told(&mesh).await, "a.com h2 nobody");
    }
    assert_eq!(seen.connections(), 1);
    let apply = |policy: &str| {
        let rules = Resources::from_yaml("it", &rules("HTTP2", port, "", policy));
        mesh.apply(&rules).unwrap();
    };
    // Something else changes: the connection stays.
    apply(&(tls("") + ", connectionPool: {http: {maxRetries: 7}}"));
    assert_eq!(told(&mesh).await, "a.com h2 nobody");
    assert_eq!(seen.connections(), 1);
    apply(&tls(", sni: b.com"));
    assert_eq!(told(&mesh).await, "b.com h2 nobody");
    assert_eq!(seen.connections(), 2);
}

#[tokio::test]
async fn a_failed_handshake_is_tried_again_as_a_failed_connection_is() {
    let (authority, stranger) = (Authority::new("ca"), Authority::new("stranger"));
    let folder = Folder::new();
    let roots = folder.write("ca.pem", &authority.pem());
    let (bad, seen) = serve(config(&stranger.issue(&["a.com"]), None), false).await;
    let (good, _) = serve(config(&authority.issue(&["a.com"]), None), false).await;
    let tls = format!("tls: {{mode: SIMPLE, caCertificates: {roots}}}");
    let entry = format!(
        "endpoints: [{{address: 127.0.0.1, ports: {{it: {bad}}}}}, {{address: 127.0.0.1, ports: {{it: {good}}}}}]"
    );
    let rules = rules("HTTP", bad, "", &tls);
    let line = rules.lines().find(|it| it.contains("endpoints:")).unwrap();
    let rules = rules.replace(line, &format!("  {entry}"));
    let rules = rules.replace("attempts: 0", "attempts: 2, retryOn: connect-failure");
    let mesh = crate::server::build(tower_mesh::mesh::Mesh::builder().yaml(&rules));
    for _ in 0..20 {
        assert_eq!(told(&mesh).await, "a.com - nobody");
    }
    assert!(seen.connections() > 0);
}
