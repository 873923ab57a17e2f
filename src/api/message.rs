//! The two macros that make Istio's messages: what is written once serves the type, its reader
//! and its list of fields.

/// A message: a struct whose fields are read under their proto3 JSON name or their snake_case name.
macro_rules! message {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* $field:ident : $type:ty ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type ),*
        }

        impl $crate::api::decode::Decode for $name {
            fn decode(
                node: &$crate::api::node::Node,
                at: $crate::diagnostic::At<'_>,
                decoder: &mut $crate::api::decode::Decoder,
            ) -> Option<Self> {
                #[allow(unused_mut, reason = "a message may have no fields")]
                let mut message = Self::default();
                let mut seen = [false; Self::FIELDS.len()];
                let entries = decoder.enter(node, at, Self::FIELDS)?;
                'entries: for entry in entries {
                    for (n, field) in Self::FIELDS.iter().enumerate() {
                        if $crate::api::names::same_name(field, &entry.key) {
                            let seen = std::mem::replace(&mut seen[n], true);
                            message.read_field(n, seen, entry, at, decoder);
                            continue 'entries;
                        }
                    }
                    decoder.unknown_field(entry, entries, at, Self::FIELDS);
                }
                decoder.leave();
                Some(message)
            }
        }

        #[cfg(all(test, feature = "yaml"))]
        impl $crate::api::schema::Schema for $name {
            fn describe(here: &str, places: &mut $crate::api::schema::Places) {
                $( places.add::<$type>(here, stringify!($field)); )*
            }
        }

        impl $name {
            /// The names of all fields, in Rust's spelling.
            pub const FIELDS: &'static [&'static str] = &[$( stringify!($field) ),*];

            #[allow(unused_assignments, reason = "the last field's number is not needed")]
            fn read_field(
                &mut self,
                wanted: usize,
                seen: bool,
                entry: &$crate::api::node::Entry,
                at: $crate::diagnostic::At<'_>,
                decoder: &mut $crate::api::decode::Decoder,
            ) {
                let mut n = 0;
                $(
                    if n == wanted {
                        return decoder.field(&mut self.$field, seen, entry, at);
                    }
                    n += 1;
                )*
            }
        }

        /// The message with a field set anew, under the field's own name.
        #[allow(dead_code, reason = "messages the crate keeps to itself are only read")]
        #[allow(clippy::should_implement_trait, reason = "`add` is a field of Istio's")]
        impl $name {
            $(
                $(#[$field_meta])*
                #[must_use]
                pub fn $field(mut self, value: impl $crate::api::field::IntoField<$type>) -> Self {
                    self.$field = value.into_field();
                    self
                }
            )*
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::api::from_serde(deserializer)
            }
        }
    };
}

/// An enumeration, read by name or, as Istio's own decoder allows, by number.
macro_rules! enumeration {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $text:literal / $number:literal ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$variant_meta])* $variant ),*
        }

        impl $name {
            /// The name as YAML spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text ),* }
            }
        }

        #[cfg(all(test, feature = "yaml"))]
        impl $crate::api::schema::Schema for $name {
            fn describe(_: &str, _: &mut $crate::api::schema::Places) {}
        }

        impl $crate::api::decode::Decode for $name {
            fn decode(
                node: &$crate::api::node::Node,
                at: $crate::diagnostic::At<'_>,
                decoder: &mut $crate::api::decode::Decoder,
            ) -> Option<Self> {
                let number = decoder.choice(node, at, &[$( ($text, $number) ),*])?;
                $(
                    if number == $number {
                        return Some(Self::$variant);
                    }
                )*
                None
            }
        }
    };
}

pub(crate) use {enumeration, message};
