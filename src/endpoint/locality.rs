//! Places: region, zone and subzone.

use std::fmt;

/// Where an endpoint is: `region/zone/subzone`, each empty where it is not known.
///
/// Source: `WorkloadEntry.locality`, Envoy's `Locality`.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Locality {
    /// The region.
    pub region: String,
    /// The zone inside the region.
    pub zone: String,
    /// The part of the zone.
    pub subzone: String,
}

/// Where an endpoint is, in both ways; many endpoints share one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) locality: Locality,
    pub(crate) network: String,
}

impl Locality {
    /// Reads `region/zone/subzone`; what is missing at the end is empty.
    ///
    /// ```
    /// use tower_mesh::endpoint::Locality;
    ///
    /// let place = Locality::new("eu-west/eu-west-1b");
    /// assert_eq!((&*place.region, &*place.zone, &*place.subzone), ("eu-west", "eu-west-1b", ""));
    /// ```
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        Self {
            region: part(),
            zone: part(),
            subzone: part(),
        }
    }
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&*self.region, &*self.zone, &*self.subzone];
        f.write_str(parts.join("/").trim_end_matches('/'))
    }
}
