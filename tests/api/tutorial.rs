//! A tutorial's samples as its readers paste them: the right ones load, the slips are explained.

use tower_mesh::api::{Resources, Spec};

use super::tell::{found, names, only};

#[test]
fn gateway_indented_by_one_blank() {
    let resource = only(
        r"
 apiVersion: networking.istio.io/v1alpha3
 kind: Gateway
 metadata:
   name: my-gateway
   namespace: default
 spec:
   selector:
     istio: ingressgateway
   servers:
   - port:
       number: 80
       name: http
       protocol: HTTP
     hosts:
     - dev.example.com
     - test.example.com

",
    );
    let Spec::Gateway(gateway) = resource.spec else {
        panic!("not a Gateway")
    };
    assert_eq!(
        gateway.servers[0].hosts,
        ["dev.example.com", "test.example.com"]
    );
}

#[test]
fn deployment_service_and_rules_in_one_file() {
    let resources = Resources::from_yaml(
        "customers.yaml",
        r"
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      creationTimestamp: null
      name: customers-v1
    spec:
      replicas: 1
      strategy: {}
---
    kind: Service
    apiVersion: v1
    metadata:
      name: customers
      labels:
        app: customers
    spec:
      selector:
        app: customers
      ports:
        - port: 80
          name: http
          targetPort: 3000
---
    apiVersion: networking.istio.io/v1alpha3
    kind: DestinationRule
    metadata:
      name: customers
    spec:
      host: customers.default.svc.cluster.local
      subsets:
        - name: v1
          labels:
            version: v1
---
    apiVersion: networking.istio.io/v1alpha3
    kind: VirtualService
    metadata:
      name: customers
    spec:
      hosts:
        - 'customers.default.svc.cluster.local'
      http:
        - match:
          - headers:
              user:
                exact: debug
          route:
            - destination:
                host: customers.default.svc.cluster.local
                port:
                  number: 80
                subset: v1
              weight: 50
          fault:
            delay:
              percent: 50
              fixedDelay: 5s
            abort:
              httpStatus: 500
              percentage: 
                value: 50
",
    );
    assert_eq!(
        found(&resources),
        "3:5 foreign-kind kind: apps/v1 Deployment is not a traffic resource; skipped"
    );
    assert_eq!(
        names(&resources),
        [
            "Service customers",
            "DestinationRule customers",
            "VirtualService customers"
        ]
    );
}

#[test]
fn policies_of_a_destination() {
    only(
        r"
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: customers
spec:
  host: myredissrv.prod.svc.cluster.local
  trafficPolicy:
    loadBalancer:
      consistentHash:
        httpCookie:
          name: location
          ttl: 4s
    connectionPool:
      tcp:
        maxConnections: 80
        connectTimeout: 25ms
      http:
        http2MaxRequests: 500
        maxRequestsPerConnection: 10
    outlierDetection:
      consecutiveErrors: 10
      interval: 5m
      baseEjectionTime: 10m
    tls:
      mode: MUTUAL
      clientCertificate: /etc/certs/cert.pem
      privateKey: /etc/certs/key.pem
      caCertificates: /etc/certs/ca.pem
    portLevelSettings:
    - port:
        number: 80
      loadBalancer:
        simple: LEAST_CONN
    - port:
        number: 8000
      loadBalancer:
        simple: ROUND_ROBIN #one after the other
",
    );
}

#[track_caller]
fn slip(yaml: &str, want: &str) {
    let resources = Resources::from_yaml("slip.yaml", yaml);
    assert_eq!(found(&resources), want, "{yaml}");
}

/// A resource of the tutorial up to its spec.
fn spec(kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: {kind}\nmetadata:\n  name: forecast\n\
         spec:\n{spec}"
    )
}

#[test]
fn blank_missing_after_a_colon() {
    slip(
        "apiVersion:networking.istio.io/v1alpha3\nkind: VirtualService\nmetadata:\n  name: a\n",
        "1:1 syntax: \"apiVersion:networking.istio.io/v1alpha3\" is one word to YAML \
         (a blank is missing after \"apiVersion:\")",
    );
}

#[test]
fn metadata_misspelt() {
    slip(
        "apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\nmedata:\n  name: a\n\
         spec:\n  hosts: [a]\n",
        "3:1 unknown-field medata: there is no field \"medata\" here (did you mean \"metadata\"?)",
    );
}

#[test]
fn colon_where_the_group_ends() {
    slip(
        "apiVersion: networking.istio.io:v1alpha3\nkind: VirtualService\nmetadata:\n  name: a\n",
        "1:1 wrong-api-version apiVersion: a VirtualService cannot have the apiVersion \
         \"networking.istio.io:v1alpha3\" (write networking.istio.io/v1alpha3)",
    );
}

#[test]
fn host_beside_destination_instead_of_under_it() {
    slip(
        &spec(
            "VirtualService",
            "  http:\n  - route:\n    - destination:\n      host: forecast\n      subset: v1\n    \
             mirror:\n      host: forecast\n      subset: v2 \n",
        ),
        "9:7 unknown-field spec.http[0].route[0].host: there is no field \"host\" here \
         (to put it under \"destination\", which is empty, indent it further)\n\
         10:7 unknown-field spec.http[0].route[0].subset: there is no field \"subset\" here \
         (to put it under \"destination\", which is empty, indent it further)",
    );
}

#[test]
fn header_beside_headers_and_headers_misspelt() {
    slip(
        &spec(
            "VirtualService",
            "  http:\n  - match:\n    - headers:\n      source:\n        exact: north\n    \
             - heraders:\n        source: {exact: north}\n      uri: {prefix: /a}\n",
        ),
        "9:7 unknown-field spec.http[0].match[0].source: there is no field \"source\" here \
         (to put it under \"headers\", which is empty, indent it further)\n\
         11:7 unknown-field spec.http[0].match[1].heraders: there is no field \"heraders\" here \
         (did you mean \"headers\"?)",
    );
}

#[test]
fn percentage_misspelt_in_two_ways() {
    slip(
        &spec(
            "VirtualService",
            "  http:\n  - fault:\n      delay:\n        percenttage: {value: 1.5}\n      abort:\n        \
             percnetage: {value: 1.5}\n",
        ),
        "9:9 unknown-field spec.http[0].fault.delay.percenttage: \
         there is no field \"percenttage\" here (did you mean \"percentage\"?)\n\
         11:9 unknown-field spec.http[0].fault.abort.percnetage: \
         there is no field \"percnetage\" here (did you mean \"percentage\"?)",
    );
}

#[test]
fn cors_policy_inside_a_destination() {
    slip(
        &spec(
            "VirtualService",
            "  http:\n  - route:\n    - destination:\n        host: forecast\n      corsPolicy:\n        \
             maxAge: \"2d\"\n",
        ),
        "10:7 unknown-field spec.http[0].route[0].corsPolicy: there is no field \"corsPolicy\" here \
         (it is a field of spec.http[0]; mind the indentation)",
    );
}

#[test]
fn two_days_and_seconds_without_a_unit() {
    slip(
        &spec(
            "VirtualService",
            "  http:\n  - corsPolicy: {maxAge: \"2d\"}\n",
        ),
        "7:26 invalid-value spec.http[0].corsPolicy.maxAge: \"d\" is not a unit of time; \
         use h, m, s, ms, us or ns (there are no days; write 48h)",
    );
    slip(
        &spec(
            "DestinationRule",
            "  trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {time: 3600}}}}\n",
        ),
        "6:63 invalid-value spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time: \
         a duration needs a unit: write 3600s or 3600ms",
    );
}

#[test]
fn hosts_of_a_destination_rule() {
    slip(
        &spec("DestinationRule", "  hosts: forecast\n"),
        "6:3 unknown-field spec.hosts: there is no field \"hosts\" here (did you mean \"host\"?)",
    );
}
