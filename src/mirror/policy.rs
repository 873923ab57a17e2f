//! How many requests are copied, decided by one roll.

use crate::percent::Percent;

/// The shares of requests that mirrors get, in the order written.
///
/// ```
/// use tower_mesh::mirror::MirrorPolicy;
/// use tower_mesh::percent::Percent;
///
/// let policy = MirrorPolicy::new(Percent::from_percentage(0.1)?);
/// assert!(policy.copies(999));
/// assert!(!policy.copies(1000));
/// # Ok::<(), tower_mesh::percent::InvalidPercent>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MirrorPolicy {
    shares: Box<[Percent]>,
}

impl MirrorPolicy {
    /// One mirror that gets this share of the requests.
    #[must_use]
    pub fn new(share: Percent) -> Self {
        Self::of([share])
    }

    /// Several mirrors of one rule.
    pub(crate) fn of(shares: impl IntoIterator<Item = Percent>) -> Self {
        let shares = shares.into_iter().collect();
        Self { shares }
    }

    /// Whether any copy is made of a request with this roll of the dice.
    #[must_use]
    pub fn copies(&self, roll: u64) -> bool {
        self.chosen(roll).next().is_some()
    }

    /// The share of each mirror, in the order written.
    pub(crate) fn shares(&self) -> &[Percent] {
        &self.shares
    }

    /// The mirrors that get a copy of a request with this roll, by their places.
    pub(super) fn chosen(&self, roll: u64) -> impl Iterator<Item = usize> {
        let shares = self.shares.iter().enumerate();
        shares.filter_map(move |(place, share)| share.covers(roll).then_some(place))
    }
}
