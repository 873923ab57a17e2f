//! What an explanation says to a reader, word by word, and to a program, key by key.

use http::Request;
use serde_json::{Value, json};
use tower_mesh::mesh::Mesh;

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.com]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 8080, name: more, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop.com
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.com]
  http:
  - name: testers
    match:
    - headers: {end-user: {exact: jason}}
    - sourceLabels: {app: tester}
    - port: 8080
    route: [{destination: {host: shop.com, subset: v2}}]
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new, authority: new.shop.com, redirectCode: 302}
  - match: [{uri: {prefix: /health}}]
    directResponse: {status: 200, body: {string: all is well}}
  - name: main
    match: [{uri: {prefix: /api}}]
    rewrite: {uri: /v2, authority: api.shop.com}
    timeout: 2s
    retries: {attempts: 3, perTryTimeout: 0.5s, retryOn: '5xx,reset'}
    fault:
      delay: {percentage: {value: 10}, fixedDelay: 5s}
      abort: {percentage: {value: 0.1}, httpStatus: 503}
    route:
    - {destination: {host: shop.com, subset: v1}, weight: 90}
    - {destination: {host: shop.com, subset: v2}, weight: 9}
    - {destination: {host: shop.com, subset: v3}, weight: 1}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: late}
spec: {hosts: [shop.com], http: [{route: [{destination: {host: shop.com}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: wide}
spec: {hosts: ['*.com'], http: [{route: [{destination: {host: shop.com}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec: {hosts: [shop.com], gateways: [gw], http: [{route: [{destination: {host: shop.com}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: private, namespace: other}
spec: {hosts: [shop.com], exportTo: ['.'], http: [{route: [{destination: {host: shop.com}}]}]}
";

fn mesh() -> Mesh {
    Mesh::builder().yaml(RULES).build().unwrap().0
}

#[track_caller]
fn check(url: &str, want: &str) {
    let (request, ()) = Request::get(url).body(()).unwrap().into_parts();
    let got = mesh().explain(&request).to_string();
    assert_eq!(got.trim(), want.trim(), "\n{got}");
}

#[test]
fn a_forwarded_request_is_told_from_owner_to_destinations() {
    check(
        "http://shop.com/api/x?q=1",
        r#"
GET http://shop.com/api/x?q=1  (port 80)
├─ owner      VirtualService default/shop: it names shop.com
│             not default/late: default/shop is older and owns shop.com
│             not default/wide: its host *.com is wider than shop.com
│             not default/edge: its gateways do not name this client
│             not other/private: it is not exported to this client's namespace
├─ rejected   http[0].match[0]  headers.end-user: exact "jason" is wanted, and the request has none
│             http[0].match[1]  sourceLabels: this client carries no labels
│             http[0].match[2]  port: for 8080 only, and the request is for 80
│             http[1].match[0]  uri: prefix "/old" does not match "/api/x"
│             http[2].match[0]  uri: prefix "/health" does not match "/api/x"
├─ taken      http[3].match[0] "main"
├─ fault      10 % wait 5s
│             0.1 % are answered with 503 Service Unavailable
├─ path       rewritten to /v2/x?q=1
├─ authority  rewritten to api.shop.com
├─ timeout    2s
├─ retries    up to 3 more on 5xx,reset, 500ms each, waits from 25ms
└─ forward     90 % to shop.com:80 subset v1, as api.shop.com  (1 endpoint)
                9 % to shop.com:80 subset v2, as api.shop.com  (1 endpoint)
                1 % to shop.com:80 subset v3, as api.shop.com  (503 NC: the destination does not exist)
"#,
    );
}

#[test]
fn answers_without_a_destination_are_told() {
    let owner = "\
├─ owner      VirtualService default/shop: it names shop.com
│             not default/late: default/shop is older and owns shop.com
│             not default/wide: its host *.com is wider than shop.com
│             not default/edge: its gateways do not name this client
│             not other/private: it is not exported to this client's namespace";
    check(
        "http://shop.com:8080/old",
        &format!(
            r#"
GET http://shop.com:8080/old  (port 8080)
{owner}
├─ rejected   http[0].match[0]  headers.end-user: exact "jason" is wanted, and the request has none
│             http[0].match[1]  sourceLabels: this client carries no labels
├─ taken      http[0].match[2] "testers"
├─ timeout    none
├─ retries    up to 2 more on connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes, waits from 25ms (Istio's default)
└─ forward    100 % to shop.com:8080 subset v2  (1 endpoint)
"#
        ),
    );
    let three = r#"├─ rejected   http[0].match[0]  headers.end-user: exact "jason" is wanted, and the request has none
│             http[0].match[1]  sourceLabels: this client carries no labels
│             http[0].match[2]  port: for 8080 only, and the request is for 80"#;
    check(
        "http://shop.com/old/1",
        &format!(
            "
GET http://shop.com/old/1  (port 80)
{owner}
{three}
├─ taken      http[1].match[0]
└─ redirect   302 Found to http://new.shop.com/new
"
        ),
    );
    check(
        "http://shop.com/health",
        &format!(
            r#"
GET http://shop.com/health  (port 80)
{owner}
{three}
│             http[1].match[0]  uri: prefix "/old" does not match "/health"
├─ taken      http[2].match[0]
└─ answer     200 OK: the rule answers itself
              "all is well"
"#
        ),
    );
}

#[test]
fn hosts_nobody_knows_are_told() {
    check(
        "http://other.com/",
        "
GET http://other.com/  (port 80)
├─ owner      nothing declares other.com on port 80
│             not default/wide: its host *.com stands for the services declared under it, and other.com is none on port 80
├─ timeout    none
├─ retries    none
└─ pass on    nothing declares the host: it goes where DNS says
",
    );
}

#[test]
fn programs_find_every_key() {
    let (request, ()) = Request::get("http://shop.com/api/x")
        .header("end-user", "bob")
        .body(())
        .unwrap()
        .into_parts();
    let got = serde_json::to_value(mesh().explain(&request)).unwrap();
    let because = "headers.end-user: exact \"jason\" does not match \"bob\"";
    let first =
        json!({"virtual_service": "default/shop", "route": 0, "match": 0, "because": because});
    assert_eq!(got["rejected"][0], first);
    assert_eq!(got["rejected"].as_array().unwrap().len(), 5);
    let mut got = got;
    got["rejected"] = json!([]);
    let destination = |subset: &str, weight: u32| json!({"host": "shop.com", "subset": subset, "port": 80, "weight": weight});
    let mut none = destination("v3", 1);
    none["refusal"] = json!("503 NC: the destination does not exist");
    let want = json!({
        "virtual_service": "default/shop", "route": 3, "route_name": "main", "match": 0,
        "action": "forward", "status": null, "location": null,
        "destinations": [destination("v1", 90), destination("v2", 9), none],
        "path": "/v2/x", "authority": "api.shop.com", "timeout": "2s",
        "retries": {"attempts": 3, "retry_on": "5xx,reset", "per_try_timeout": "500ms",
            "backoff": "25ms", "default": false},
        "fault": {"delay": {"percentage": 10.0, "fixed_delay": "5s"},
            "abort": {"percentage": 0.1, "http_status": 503}},
        "mirrors": [], "rejected": [], "policy": {},
    });
    assert_eq!(got, want);
    let keys: Vec<_> = got.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys.len(), 16);
}

#[test]
fn settings_are_told_with_the_rule_they_stand_in() {
    let rule = "host: shop.com\n  trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}\n  \
                subsets: [{name: v1, labels: {version: v1}}, \
                {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: LEAST_REQUEST}}}]";
    let subsets = RULES.find("host: shop.com\n  subsets").unwrap();
    let end = subsets + RULES[subsets..].find("\n---").unwrap();
    let rules = format!("{}{rule}{}", &RULES[..subsets], &RULES[end..]);
    let (mesh, _) = Mesh::builder().yaml(&rules).build().unwrap();
    let check = |path: &str, end_user: &str, want: Value| {
        let request = Request::get(format!("http://shop.com{path}")).header("end-user", end_user);
        let (request, ()) = request.body(()).unwrap().into_parts();
        let got = serde_json::to_value(mesh.explain(&request)).unwrap();
        assert_eq!(got["policy"], want);
    };
    check(
        "/",
        "jason",
        json!({"loadBalancer": "DestinationRule default/shop subset"}),
    );
    let both = "DestinationRule default/shop top, DestinationRule default/shop subset";
    check("/api", "bob", json!({"loadBalancer": both}));
    check("/old", "bob", json!({}));
}

/// A request of a gateway: the routes of all VirtualServices of the host, catch-all ones last.
#[test]
fn a_gateway_serves_several_virtual_services_of_one_host() {
    let rules = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all}
spec: {hosts: [a.com], gateways: [gw], http: [{directResponse: {status: 201}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: some}
spec:
  hosts: [a.com]
  gateways: [gw]
  http: [{match: [{uri: {prefix: /some}}], directResponse: {status: 202}}]
";
    let mesh = Mesh::builder().gateway("default/gw").yaml(rules);
    let (mesh, _) = mesh.build().unwrap();
    let explain = |url: &str| {
        let (request, ()) = Request::get(url).body(()).unwrap().into_parts();
        let it = serde_json::to_value(mesh.explain(&request)).unwrap();
        let key = |key: &str| it[key].clone();
        [key("virtual_service"), key("status"), key("action")]
    };
    let want = |owner: Value, status: u16, action: &str| [owner, json!(status), json!(action)];
    let said = "direct_response";
    assert_eq!(
        explain("http://a.com/some"),
        want(json!("default/some"), 202, said)
    );
    assert_eq!(
        explain("http://a.com/"),
        want(json!("default/all"), 201, said)
    );
    assert_eq!(
        explain("http://b.com/"),
        want(Value::Null, 404, "not_found")
    );
    assert_eq!(
        explain("http://a.com:81/"),
        want(Value::Null, 404, "not_found")
    );
}

#[test]
fn mirrors_are_told_with_their_shares() {
    let rules = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: it}
spec:
  hosts: [a.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: it}
spec:
  hosts: [a.com]
  http:
  - route: [{destination: {host: a.com}}]
    mirrors:
    - {destination: {host: a.com}, percentage: {value: 0.5}}
    - {destination: {host: a.com, subset: v3}}
    - {destination: {host: a.com}, percentage: {value: 0}}
";
    let (mesh, _) = Mesh::builder().yaml(rules).build().unwrap();
    let (request, ()) = Request::get("http://a.com/").body(()).unwrap().into_parts();
    let told = mesh.explain(&request);
    let refusal = "503 NC: the destination does not exist";
    assert_eq!(
        serde_json::to_value(&told).unwrap()["mirrors"],
        json!([
            {"host": "a.com", "subset": null, "port": 80, "percentage": 0.5},
            {"host": "a.com", "subset": "v3", "port": 80, "percentage": 100.0, "refusal": refusal},
        ])
    );
    let text = told.to_string();
    for line in [
        "├─ mirrors    0.5 % are copied to a.com:80  (1 endpoint)",
        "│             100 % are copied to a.com:80 subset v3  (503 NC: the destination does not exist)",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
