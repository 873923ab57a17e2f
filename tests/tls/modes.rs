//! The modes, and what each says to a server.

use tokio::io::AsyncReadExt as _;
use tower_mesh::mesh::Mesh;
use tower_mesh::tls::WorkloadCertificates;

use crate::pki::{Authority, Folder};
use crate::server::{build, config, mesh, rules, serve, told, told_at};

#[tokio::test]
async fn simple_asks_for_the_host_and_announces_http2_only() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let issued = authority.issue(&["a.com"]);
    let tls = format!("tls: {{mode: SIMPLE, caCertificates: {roots}}}");
    let (port, _) = serve(config(&issued, None), false).await;
    assert_eq!(told(&mesh("HTTP", port, &tls)).await, "a.com - nobody");
    let mut server = config(&issued, None);
    server.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let (port, _) = serve(server, true).await;
    assert_eq!(told(&mesh("HTTP2", port, &tls)).await, "a.com h2 nobody");
}

/// As at a sidecar, that rules encrypt does not change what the application said.
#[tokio::test]
async fn the_scheme_is_the_one_of_the_request() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let mut server = config(&authority.issue(&["a.com"]), None);
    server.alpn_protocols = vec![b"h2".to_vec()];
    let (port, _) = serve(server, true).await;
    let tls = format!("tls: {{mode: SIMPLE, caCertificates: {roots}}}");
    let mesh = mesh("HTTP2", port, &tls);
    for (uri, scheme) in [
        ("http://a.com/scheme", "http"),
        ("https://a.com:80/scheme", "https"),
        ("HTTPS://a.com:80/scheme", "https"),
    ] {
        assert_eq!(told_at(&mesh, uri).await, scheme);
    }
}

#[tokio::test]
async fn a_written_sni_is_asked_for_and_must_be_answered() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let tls = format!("tls: {{mode: SIMPLE, caCertificates: {roots}, sni: b.com}}");
    let (port, _) = serve(config(&authority.issue(&["b.com"]), None), false).await;
    assert_eq!(told(&mesh("HTTP", port, &tls)).await, "b.com - nobody");
    let (port, _) = serve(config(&authority.issue(&["a.com"]), None), false).await;
    let told = told(&mesh("HTTP", port, &tls)).await;
    assert!(told.contains("for_[a.com],_not_for_[b.com]"), "{told}");
}

#[tokio::test]
async fn mutual_shows_a_certificate() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.write("ca.pem", &authority.pem());
    let mine = authority.issue(&["client"]);
    let (chain, key) = (&mine.pem, mine.key_pem());
    let (chain, key) = (folder.write("c.pem", chain), folder.write("k.pem", &key));
    let server = config(&authority.issue(&["a.com"]), Some(&authority));
    let (port, _) = serve(server, false).await;
    let mutual = format!(
        "tls: {{mode: MUTUAL, caCertificates: {roots}, clientCertificate: {chain}, privateKey: {key}}}"
    );
    assert_eq!(told(&mesh("HTTP", port, &mutual)).await, "a.com - somebody");
    // In TLS 1.3 the client has finished before the server refuses it.
    let simple = format!("tls: {{mode: SIMPLE, caCertificates: {roots}}}");
    let refused = told(&mesh("HTTP", port, &simple)).await;
    assert_eq!(refused, "503 UC {connection_termination}");
}

#[tokio::test]
async fn istio_mutual_is_the_workload_speaking_to_the_destinations_account() {
    let (authority, folder) = (Authority::new("mesh"), Folder::new());
    let mine = authority.issue(&["spiffe://cluster.local/ns/default/sa/web"]);
    folder.write("cert-chain.pem", &mine.pem);
    folder.write("key.pem", &mine.key_pem());
    folder.write("root-cert.pem", &authority.pem());
    let files = WorkloadCertificates::in_folder(folder.path());
    let of = |port, files: &WorkloadCertificates| {
        let rules = rules("HTTP", port, "", "tls: {mode: ISTIO_MUTUAL}");
        let builder = Mesh::builder().workload_certificates(files.clone());
        build(builder.yaml(&rules))
    };
    let theirs = authority.issue(&["spiffe://cluster.local/ns/default/sa/shop"]);
    let mut server = config(&theirs, Some(&authority));
    server.alpn_protocols = vec![b"istio".to_vec()];
    let (port, _) = serve(server, false).await;
    let told_of = told(&of(port, &files)).await;
    assert_eq!(told_of, "outbound_.80_._.a.com istio somebody");
    let elsewhere = files.with_trust_domain("far.away");
    let refused = told(&of(port, &elsewhere)).await;
    assert!(
        refused.contains("not_for_[spiffe://far.away/ns/default/sa/shop]"),
        "{refused}"
    );
}

/// What a rule names stands instead of the accounts of its endpoints, and HTTP/2 is announced as a
/// sidecar announces it.
#[tokio::test]
async fn istio_mutual_goes_by_the_names_a_rule_gives() {
    let (authority, folder) = (Authority::new("mesh"), Folder::new());
    let mine = authority.issue(&["spiffe://cluster.local/ns/default/sa/web"]);
    folder.write("cert-chain.pem", &mine.pem);
    folder.write("key.pem", &mine.key_pem());
    folder.write("root-cert.pem", &authority.pem());
    let other = "spiffe://cluster.local/ns/other/sa/shop";
    let mut server = config(&authority.issue(&[other]), Some(&authority));
    server.alpn_protocols = vec![b"istio-h2".to_vec()];
    let (port, _) = serve(server, true).await;
    let of = |tls: &str| {
        let tls = format!("tls: {{mode: ISTIO_MUTUAL{tls}}}");
        let files = WorkloadCertificates::in_folder(folder.path());
        let builder = Mesh::builder().workload_certificates(files);
        build(builder.yaml(&rules("HTTP2", port, "", &tls)))
    };
    let named = format!(", subjectAltNames: [{other}], sni: shop.other");
    assert_eq!(told(&of(&named)).await, "shop.other istio-h2 somebody");
    let refused = told(&of("")).await;
    let account = "not_for_[spiffe://cluster.local/ns/default/sa/shop]";
    assert!(refused.contains(account), "{refused}");
}

#[tokio::test]
async fn an_https_uri_is_kept_where_rules_say_nothing() {
    let issued = Authority::new("unknown to the system").issue(&["a.com"]);
    let (port, _) = serve(config(&issued, None), false).await;
    let mesh = mesh("HTTP", port, "tls: {mode: DISABLE}");
    let told_of = told_at(&mesh, "https://a.com:80/").await;
    assert!(
        told_of.starts_with("503 UF {remote_connection_failure|TLS_error:"),
        "{told_of}"
    );
    // The same in the clear reaches a server that waits for a handshake.
    assert_eq!(told(&mesh).await.get(..3), Some("502"));
}

#[tokio::test]
async fn a_proxy_header_goes_before_the_handshake() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (version, want) in [
        ("V1", &b"PROXY TCP4 127.0.0.1 127.0.0.1 "[..]),
        ("V2", b"\r\n\r\n\0"),
    ] {
        let policy = format!(
            "proxyProtocol: {{version: {version}}}, tls: {{mode: SIMPLE, insecureSkipVerify: true}}"
        );
        let mesh = mesh("HTTP", port, &policy);
        let sent = tokio::spawn(async move { told(&mesh).await });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut start = vec![0; want.len()];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(start, want, "{version}");
        drop(stream);
        assert!(sent.await.unwrap().starts_with("503 UF"));
    }
}

/// `credentialName`, on whatever kind of client: the secret as Kubernetes mounts it.
#[tokio::test]
async fn a_credential_is_a_folder_of_files() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let mine = authority.issue(&["client"]);
    let secret = folder.path().join("shop-secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("ca.crt"), authority.pem()).unwrap();
    let of = |port, name: &str, mode: &str| {
        let tls = format!("tls: {{mode: {mode}, credentialName: '{name}'}}");
        let files = WorkloadCertificates::default().with_secrets(folder.path());
        let builder = Mesh::builder().workload_certificates(files);
        build(builder.yaml(&rules("HTTP", port, "", &tls)))
    };
    let server = config(&authority.issue(&["a.com"]), Some(&authority));
    let (mutual, _) = serve(server, false).await;
    let (simple, _) = serve(config(&authority.issue(&["a.com"]), None), false).await;
    for name in [
        "shop-secret",
        "kubernetes://shop-secret",
        "configmap://shop-secret",
    ] {
        assert_eq!(told(&of(simple, name, "SIMPLE")).await, "a.com - nobody");
    }
    let mesh = of(mutual, "shop-secret", "MUTUAL");
    let missing = told(&mesh).await;
    assert!(missing.contains("tls.crt_is_not_there"), "{missing}");
    std::fs::write(secret.join("tls.crt"), &mine.pem).unwrap();
    std::fs::write(secret.join("tls.key"), mine.key_pem()).unwrap();
    assert_eq!(told(&mesh).await, "a.com - somebody");
    // No way leads out of the folder.
    for name in [
        "../shop-secret",
        "other/shop-secret",
        "..",
        "kubernetes://..",
    ] {
        let refused = told(&of(simple, name, "SIMPLE")).await;
        assert!(refused.contains("nobody_said_where"), "{name}: {refused}");
    }
}
