//! What a field of a message may be set to, beside its own type.

use indexmap::IndexMap;

use super::http_route::{Destination, Percentage, PortSelector};

/// A value for a field of the type `T`: what the setters of all messages take.
///
/// A field takes its own type, and what is meant by
///
/// | for a field of | also |
/// |---|---|
/// | `String` | `&str` |
/// | `Option<T>` | a `T`; `&str` for a `String` |
/// | `Vec<T>` | an array; of `&str` for `String`s |
/// | a map | an array of pairs with `&str` for `String` |
/// | a destination | the host as `&str` |
/// | a port | its number as `u32` |
/// | a percentage | an `f64` from 0 to 100 |
pub trait IntoField<T> {
    /// The field's value.
    fn into_field(self) -> T;
}

impl<T> IntoField<T> for T {
    fn into_field(self) -> T {
        self
    }
}

impl<T> IntoField<Option<T>> for T {
    fn into_field(self) -> Option<T> {
        Some(self)
    }
}

impl<T, const N: usize> IntoField<Vec<T>> for [T; N] {
    fn into_field(self) -> Vec<T> {
        self.into()
    }
}

impl IntoField<String> for &str {
    fn into_field(self) -> String {
        self.to_owned()
    }
}

impl IntoField<Option<String>> for &str {
    fn into_field(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl<const N: usize> IntoField<Vec<String>> for [&str; N] {
    fn into_field(self) -> Vec<String> {
        self.map(str::to_owned).into()
    }
}

impl<const N: usize> IntoField<IndexMap<String, String>> for [(&str, &str); N] {
    fn into_field(self) -> IndexMap<String, String> {
        self.map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }
}

impl<T, const N: usize> IntoField<IndexMap<String, T>> for [(String, T); N] {
    fn into_field(self) -> IndexMap<String, T> {
        self.into()
    }
}

impl<const N: usize> IntoField<IndexMap<String, u32>> for [(&str, u32); N] {
    fn into_field(self) -> IndexMap<String, u32> {
        self.map(|(key, value)| (key.to_owned(), value)).into()
    }
}

impl IntoField<Option<Destination>> for &str {
    fn into_field(self) -> Option<Destination> {
        Some(Destination::default().host(self))
    }
}

impl IntoField<Option<PortSelector>> for u32 {
    fn into_field(self) -> Option<PortSelector> {
        Some(PortSelector::default().number(self))
    }
}

impl IntoField<Option<Percentage>> for f64 {
    fn into_field(self) -> Option<Percentage> {
        Some(Percentage::default().value(self))
    }
}
