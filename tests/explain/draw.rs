//! Draws configurations and requests: small ones, in which everything meets everything.

use tower_mesh::host::overlap;
use tower_mesh::rt::Rng;

pub(crate) struct Draw(Rng);

impl Draw {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Rng::seeded(seed))
    }

    pub(crate) fn below(&self, end: usize) -> usize {
        (self.0.next_u64() % end as u64) as usize
    }

    /// One time in `n`.
    pub(crate) fn once_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn of<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn list(&self, most: usize, mut item: impl FnMut(usize) -> String) -> String {
        let items: Vec<_> = (0..1 + self.below(most)).map(&mut item).collect();
        items.join(", ")
    }

    /// All resources of one mesh. Rule `n` of VirtualService `v` is named `v.n`, its blocks `m`.
    pub(crate) fn config(&self) -> String {
        let entry = |name: &str, host: &str, ports: &[u16], labels: bool| {
            let port = |it: &u16| format!("{{number: {it}, name: http-{it}, protocol: HTTP}}");
            let ports: Vec<_> = ports.iter().map(port).collect();
            let endpoints = match labels {
                true => {
                    "[{address: 10.0.0.1, labels: {v: '1'}}, {address: 10.0.0.2, labels: {v: '2'}}]"
                }
                false => "[]",
            };
            format!(
                "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}}}\n\
                 spec: {{hosts: ['{host}'], ports: [{}], resolution: STATIC, endpoints: {endpoints}}}\n---\n",
                ports.join(", ")
            )
        };
        let mut yaml = entry("a", "a.com", &[80, 8080], true)
            + &entry("b", "b.com", &[80], true)
            + &entry("w", "*.wild.org", &[80, 8080], true)
            + &entry("empty", "empty.com", &[80], false)
            + "apiVersion: v1\nkind: Service\nmetadata: {name: reviews}\n\
               spec: {ports: [{port: 80, name: http}]}\n---\n"
            + "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: gw}\n\
               spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}\n---\n";
        for host in ["a.com", "b.com"] {
            yaml += &format!(
                "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {host}}}\n\
                 spec: {{host: {host}, subsets: [{{name: v1, labels: {{v: '1'}}}}, \
                 {{name: v2, labels: {{v: '2'}}}}, {{name: none, labels: {{v: '3'}}}}]}}\n---\n"
            );
        }
        for v in 0..1 + self.below(4) {
            yaml += &self.virtual_service(v);
        }
        yaml
    }

    fn virtual_service(&self, v: usize) -> String {
        let mut hosts: Vec<&str> = Vec::new();
        for _ in 0..1 + self.below(3) {
            let host = self.of(&[
                "a.com",
                "b.com",
                "'*.com'",
                "'*.wild.org'",
                "x.wild.org",
                "nowhere.net",
                "reviews",
                "empty.com",
                "'*'",
            ]);
            // Istio refuses names of which one covers the other.
            let name = host.trim_matches('\'');
            let overlaps = |it: &&str| overlap(it.trim_matches('\''), name);
            if !hosts.iter().any(overlaps) {
                hosts.push(host);
            }
        }
        // It refuses every host of the mesh, too.
        let gateways = match hosts.contains(&"'*'") {
            true => "gateways: [gw], ",
            false => self.of(&["", "", "gateways: [mesh, gw], ", "gateways: [gw], "]),
        };
        let rules = self.list(4, |n| self.rule(v, n));
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: v{v}}}\n\
             spec: {{{gateways}hosts: [{}], http: [{rules}]}}\n---\n",
            hosts.join(", ")
        )
    }

    fn rule(&self, v: usize, n: usize) -> String {
        let mut rule = format!("{{name: v{v}-{n}");
        let mut prefixes = true;
        if !self.once_in(4) {
            let blocks = self.list(3, |m| {
                let (block, prefix) = self.block(m);
                prefixes &= prefix;
                block
            });
            rule += &format!(", match: [{blocks}]");
        }
        match self.below(6) {
            0 => {
                let path = match prefixes && self.once_in(2) {
                    true => "uri: '%PREFIX()%/new'",
                    false => "uri: /new",
                };
                let path = self.of(&[path, "uri: '/new?own=1'", "authority: other.com"]);
                let path = if path.contains('%') {
                    "uri: /new"
                } else {
                    path
                };
                let more = self.of(&["", ", redirectCode: 307", ", scheme: https", ", port: 8443"]);
                rule += &format!(", redirect: {{{path}{more}}}");
            }
            1 => {
                let status = self.of(&[200, 404, 503, 301]);
                rule += &format!(", directResponse: {{status: {status}, body: {{string: said}}}}");
            }
            _ => rule += &self.route(),
        }
        rule + "}"
    }

    fn route(&self) -> String {
        let destinations = self.list(3, |n| {
            let host = self.of(&[
                "a.com",
                "a.com",
                "b.com",
                "empty.com",
                "gone.net",
                "reviews",
            ]);
            let subset = match host {
                "a.com" | "b.com" => {
                    self.of(&["", ", subset: v1", ", subset: v2", ", subset: none"])
                }
                "gone.net" => self.of(&["", ", subset: v1"]),
                _ => "",
            };
            let port = self.of(&["", "", ", port: {number: 80}", ", port: {number: 8080}"]);
            let weight = if n == 0 {
                self.of(&[1, 70])
            } else {
                self.of(&[0, 1, 30])
            };
            let headers = match self.once_in(6) {
                true => format!(", headers: {{request: {{set: {{':authority': 'own{n}.com'}}}}}}"),
                false => String::new(),
            };
            format!("{{destination: {{host: {host}{subset}{port}}}, weight: {weight}{headers}}}")
        });
        let mut text = format!(", route: [{destinations}]");
        if self.once_in(2) {
            text += self.of(&[
                ", rewrite: {uri: /re}",
                ", rewrite: {uri: /, authority: re.com}",
                ", rewrite: {authority: re.com}",
                ", rewrite: {uriRegexRewrite: {match: '/([a-z]+)', rewrite: '/<\\1>'}}",
            ]);
        }
        if self.once_in(4) {
            text += self.of(&[
                ", timeout: 2s, retries: {attempts: 0}",
                ", retries: {attempts: 3, retryOn: 5xx, perTryTimeout: 1s}",
            ]);
        }
        if self.once_in(6) {
            text += self.of(&[
                ", fault: {abort: {percentage: {value: 100}, httpStatus: 418}}",
                ", fault: {abort: {percentage: {value: 0}, httpStatus: 418}}",
            ]);
        }
        if self.once_in(4) {
            text += ", corsPolicy: {allowOrigins: [{exact: 'https://ok.com'}]}";
        }
        text
    }

    /// A match block, and whether a prefix is all it asks of the path.
    fn block(&self, m: usize) -> (String, bool) {
        let mut block = format!("{{name: m{m}");
        let uri = self.of(&[
            "",
            "",
            "uri: {prefix: /a}",
            "uri: {prefix: /}",
            "uri: {exact: /a/b}",
            "uri: {regex: '/[ab]/.*'}",
            "uri: {prefix: /A}, ignoreUriCase: true",
        ]);
        let mut put = |text: &str| {
            if !text.is_empty() {
                block += ", ";
                block += text;
            }
        };
        put(uri);
        for _ in 0..self.below(3) {
            let more = self.of(&[
                "",
                "headers: {x: {exact: '1'}}",
                "headers: {x: {}}",
                "withoutHeaders: {x: {}}",
                "withoutHeaders: {x: {exact: '1'}}",
                "queryParams: {q: {exact: '1'}}",
                "method: {exact: POST}",
                "scheme: {exact: https}",
                "authority: {prefix: a.}",
                "port: 8080",
                "port: 80",
                "sourceLabels: {app: other}",
                "sourceLabels: {app: me}",
                "sourceNamespace: other",
                "gateways: [gw]",
                "gateways: [mesh]",
            ]);
            put(more);
        }
        // A field stands once.
        for field in [
            "headers",
            "withoutHeaders",
            "port",
            "sourceLabels",
            "gateways",
            "queryParams",
            "method",
            "scheme",
            "authority",
            "sourceNamespace",
        ] {
            let key = format!(", {field}: ");
            if let Some(second) = block.match_indices(&key).nth(1) {
                let at = second.0;
                block.truncate(at);
            }
        }
        let prefix = uri.is_empty() || uri.contains("prefix");
        (block + "}", prefix)
    }

    /// A request: method, URL, headers.
    pub(crate) fn request(&self) -> (&'static str, String, Vec<(&'static str, &'static str)>) {
        let method = self.of(&["GET", "GET", "POST", "OPTIONS"]);
        let host = self.of(&[
            "a.com",
            "a.com",
            "b.com",
            "c.com",
            "x.wild.org",
            "y.wild.org",
            "nowhere.net",
            "reviews",
            "reviews.default",
            "reviews.default.svc.cluster.local",
            "empty.com",
            "A.com",
            "other.example",
            "10.0.0.9",
        ]);
        let scheme = self.of(&["http", "http", "http", "https"]);
        let port = self.of(&["", "", ":80", ":8080", ":9999"]);
        let path = self.of(&[
            "/",
            "/a",
            "/a/b",
            "/b/x",
            "/A/x",
            "/zzz",
            "/a//b/../c",
            "/%61",
            "",
        ]);
        let query = self.of(&["", "", "?q=1", "?q=2&x"]);
        let mut headers = Vec::new();
        for header in [
            ("x", "1"),
            ("x", "2"),
            ("origin", "https://ok.com"),
            ("host", "b.com:81"),
            ("access-control-request-method", "PUT"),
            ("content-type", "application/grpc"),
            ("x-forwarded-proto", "https"),
        ] {
            if self.once_in(5) {
                headers.push(header);
            }
        }
        (
            method,
            format!("{scheme}://{host}{port}{path}{query}"),
            headers,
        )
    }
}
