//! Documents that are not what they should be before their spec is read.

use super::check;

#[test]
fn documents_of_other_kinds_and_versions_are_told_apart() {
    check(
        "apiVersion: networking.istio.io/v1\nspec: {}\n",
        "1:1 missing-field kind: the document has no kind",
    );
    check(
        "kind: VirtualService\nspec: {}\n",
        "1:1 missing-field apiVersion: the document has no apiVersion",
    );
    check(
        "kind: VirtualService\napiversion: networking.istio.io/v1\n",
        r#"2:1 missing-field apiVersion: the document has no apiVersion ("apiversion" is spelt apiVersion)"#,
    );
    check(
        "apiVersion: networking.istio.io:v1alpha3\nkind: VirtualService\n",
        r#"1:1 wrong-api-version apiVersion: a VirtualService cannot have the apiVersion "networking.istio.io:v1alpha3" (write networking.istio.io/v1alpha3)"#,
    );
    check(
        "apiVersion: v1\nkind: VirtualService\n",
        r#"1:1 wrong-api-version apiVersion: a VirtualService cannot have the apiVersion "v1" (write networking.istio.io/v1)"#,
    );
    check(
        "apiVersion: networking.istio.io:v1beta1\nkind: Sidecar\n",
        r#"1:1 wrong-api-version apiVersion: a Sidecar cannot have the apiVersion "networking.istio.io:v1beta1" (write networking.istio.io/v1beta1)"#,
    );
    check(
        "apiVersion: networking.istio.io/v2\nkind: Gateway\n",
        r#"1:1 wrong-api-version apiVersion: networking.istio.io has no version "v2" (the versions are v1, v1beta1 and v1alpha3)"#,
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: virtualservice\n",
        r#"2:1 invalid-value kind: networking.istio.io has no kind "virtualservice" (did you mean "VirtualService"?)"#,
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: Sidecar\n",
        "2:1 not-built kind: nothing here acts on a Sidecar (on purpose: exportTo and MeshBuilder say \
         what a client sees; keep it from this mesh, or read leniently)",
    );
    check(
        "apiVersion: apps/v1\nkind: Deployment\n",
        "2:1 foreign-kind kind: apps/v1 Deployment is not a traffic resource; skipped",
    );
    check(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n",
        "2:1 foreign-kind kind: gateway.networking.k8s.io/v1 Gateway is not a traffic resource; skipped",
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {namespace: a}\nspec: {}\n",
        "3:1 missing-field metadata.name: the resource has no name",
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nspec: {}\n",
        "1:1 missing-field metadata.name: the resource has no name",
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\n",
        "1:1 missing-field spec: the resource has no spec",
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec:\n",
        "4:5 wrong-type spec: expected a mapping, found null",
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmedata: {name: a}\nspec: {}\n",
        r#"3:1 unknown-field medata: there is no field "medata" here (did you mean "metadata"?)"#,
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: []\nspec: {serverz: []}\n",
        concat!(
            "3:11 wrong-type metadata: expected a mapping, found a list\n",
            r#"4:8 unknown-field spec.serverz: there is no field "serverz" here (did you mean "servers"?)"#,
        ),
    );
    check(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a, labels: {app: }}\nspec: {}\n",
        r#"3:33 wrong-type metadata.labels["app"]: expected text, found null"#,
    );
}
