//! Every field there is, by its place in a document: what tests that leave none out go by.

use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;

/// A type that knows the fields below it.
pub(crate) trait Schema {
    /// Adds the places of all fields of the type, which stands at `here`.
    fn describe(here: &str, places: &mut Places);
}

/// The places of fields, as `spec.http[].match[].headers.*.exact`.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// All fields.
    pub(crate) fields: BTreeSet<String>,
    /// Those whose keys are the user's own.
    pub(crate) maps: BTreeSet<String>,
}

impl Places {
    /// Adds a field of the type `T`, under a name in Rust's spelling.
    pub(crate) fn add<T: Schema>(&mut self, here: &str, field: &str) {
        let place = format!("{here}.{}", super::names::camel_case(field));
        self.fields.insert(place.clone());
        T::describe(&place, self);
    }
}

/// The types that have no fields.
macro_rules! plain {
    ($($plain:ty),* $(,)?) => { $(
        impl Schema for $plain {
            fn describe(_: &str, _: &mut Places) {}
        }
    )* };
}

plain!(bool, u16, u32, u64, i32, f64, String, Duration);

impl<T: Schema> Schema for Option<T> {
    fn describe(here: &str, places: &mut Places) {
        T::describe(here, places);
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn describe(here: &str, places: &mut Places) {
        T::describe(&format!("{here}[]"), places);
    }
}

impl<T: Schema> Schema for IndexMap<String, T> {
    fn describe(here: &str, places: &mut Places) {
        places.maps.insert(here.to_owned());
        T::describe(&format!("{here}.*"), places);
    }
}

/// Kinds whose messages are read by hand; a field that is added does not compile until it is here.
macro_rules! by_hand {
    ($($message:ident { $($field:ident $name:literal: $type:ty),* $(,)? })*) => { $(
        impl Schema for super::$message {
            fn describe(here: &str, places: &mut Places) {
                let Self { $($field: _),* } = Self::default();
                $( places.add::<$type>(here, $name); )*
            }
        }
    )* };
}

by_hand! {
    Service {
        ports "ports": Vec<super::ServicePort>,
        cluster_ips "clusterIPs": Vec<String>,
        external_name "externalName": String,
    }
    ServicePort {
        name "name": String,
        port "port": u32,
        protocol "protocol": String,
        app_protocol "appProtocol": String,
    }
    Metadata {
        name "name": String,
        namespace "namespace": String,
        labels "labels": IndexMap<String, String>,
        creation_timestamp "creationTimestamp": Option<String>,
    }
}

impl Schema for super::StringMatch {
    fn describe(here: &str, places: &mut Places) {
        for form in Self::FIELDS {
            places.add::<String>(here, form);
        }
    }
}

/// The places of all fields of a kind.
pub(crate) fn places(kind: &str) -> Places {
    let mut places = Places::default();
    super::Metadata::describe("metadata", &mut places);
    let describe = match kind {
        "VirtualService" => super::VirtualService::describe,
        "DestinationRule" => super::DestinationRule::describe,
        "ServiceEntry" => super::ServiceEntry::describe,
        "Gateway" => super::Gateway::describe,
        "Service" => super::Service::describe,
        other => panic!("there is no kind {other}"),
    };
    describe("spec", &mut places);
    if kind == "Service" {
        // Another spelling of the first of `clusterIPs`.
        places.add::<String>("spec", "clusterIP");
    }
    places
}
