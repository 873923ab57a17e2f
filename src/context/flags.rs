//! Why a response is what it is, in Envoy's two-letter words.

use std::fmt;

/// A set of Envoy response flags.
///
/// Prints as Istio's access log does: `"UT"`, `"URX,UF"`, or `"-"` when empty.
/// Source: Envoy's `%RESPONSE_FLAGS%`.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct ResponseFlags(u32);

macro_rules! flags {
    ($( $(#[$doc:meta])* $name:ident = $bit:literal, $text:literal; )*) => {
        impl ResponseFlags {
            $( $(#[$doc])* pub const $name: Self = Self(1 << $bit); )*

            /// In the order Envoy prints them.
            const NAMES: &'static [(Self, &'static str)] = &[$( (Self::$name, $text) ),*];
        }
    };
}

flags! {
    // Envoy prints flags in the order they were set: faults before what the router found.
    /// `DI`: the request was delayed by fault injection.
    DELAY_INJECTED = 8, "DI";
    /// `FI`: the request was aborted by fault injection.
    FAULT_INJECTED = 9, "FI";
    /// `URX`: the last retry failed too.
    UPSTREAM_RETRY_LIMIT_EXCEEDED = 11, "URX";
    /// `UH`: no healthy host in the destination.
    NO_HEALTHY_UPSTREAM = 0, "UH";
    /// `UT`: the upstream took longer than the route allows.
    UPSTREAM_REQUEST_TIMEOUT = 1, "UT";
    /// `LR`: the request was reset on this side.
    LOCAL_RESET = 2, "LR";
    /// `UR`: the upstream reset the request.
    UPSTREAM_REMOTE_RESET = 3, "UR";
    /// `UF`: the upstream could not be connected to.
    UPSTREAM_CONNECTION_FAILURE = 4, "UF";
    /// `UC`: the upstream closed the connection.
    UPSTREAM_CONNECTION_TERMINATION = 5, "UC";
    /// `UO`: a limit of the destination is reached.
    UPSTREAM_OVERFLOW = 6, "UO";
    /// `NR`: no route matched the request.
    NO_ROUTE_FOUND = 7, "NR";
    /// `DC`: the client left before the end.
    DOWNSTREAM_CONNECTION_TERMINATION = 10, "DC";
    /// `DPE`: the client's request is not proper HTTP.
    DOWNSTREAM_PROTOCOL_ERROR = 12, "DPE";
    /// `UPE`: the upstream's answer is not proper HTTP.
    UPSTREAM_PROTOCOL_ERROR = 13, "UPE";
    /// `NC`: the route leads to a destination that does not exist.
    NO_CLUSTER_FOUND = 14, "NC";
    /// `DF`: the destination's name could not be resolved.
    DNS_RESOLUTION_FAILED = 15, "DF";
}

impl ResponseFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// The flags a layer noted in the extensions of a response; none, if none did.
    #[must_use]
    pub fn of<B>(response: &http::Response<B>) -> Self {
        response.extensions().get().copied().unwrap_or_default()
    }

    /// Notes these flags on a response, beside those it has.
    pub fn note<B>(self, response: &mut http::Response<B>) {
        let all = Self::of(response).union(self);
        response.extensions_mut().insert(all);
    }

    /// Whether every flag of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any flag of `other` is set here.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags set in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = Self::NAMES.iter().filter(|(flag, _)| self.contains(*flag));
        let Some((_, first)) = rest.next() else {
            return f.write_str("-");
        };
        f.write_str(first)?;
        rest.try_for_each(|(_, name)| write!(f, ",{name}"))
    }
}

impl fmt::Debug for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseFlags({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseFlags;

    #[test]
    fn prints_as_the_access_log_does() {
        let print = |flags: ResponseFlags| flags.to_string();
        assert_eq!(print(ResponseFlags::NONE), "-");
        assert_eq!(print(ResponseFlags::NO_ROUTE_FOUND), "NR");
        let failed = ResponseFlags::UPSTREAM_CONNECTION_FAILURE
            .union(ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED)
            .union(ResponseFlags::DELAY_INJECTED);
        assert_eq!(print(failed), "DI,URX,UF");
        let both = ResponseFlags::FAULT_INJECTED.union(ResponseFlags::DELAY_INJECTED);
        assert_eq!(print(both), "DI,FI");
    }
}
