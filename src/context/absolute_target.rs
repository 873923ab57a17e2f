//! A note on requests: the target names its scheme.

/// In the extensions of a proxy's request whose target is absolute: its scheme holds, whatever the
/// hop before says in `x-forwarded-proto`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AbsoluteTarget;
