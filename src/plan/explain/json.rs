//! An explanation for programs: the keys and the forms of values are a contract.

use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Destination, Explanation, Fault, Mirrored, Rejected, Retries};
use crate::duration;
use crate::fault::Abort;
use crate::percent::Percent;

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(16))?;
        map.serialize_entry("virtual_service", &self.virtual_service)?;
        map.serialize_entry("route", &self.route)?;
        map.serialize_entry("route_name", &self.route_name)?;
        map.serialize_entry("match", &self.match_block)?;
        map.serialize_entry("action", self.action.as_str())?;
        map.serialize_entry("status", &self.status.map(|it| it.as_u16()))?;
        map.serialize_entry("location", &self.location)?;
        map.serialize_entry("destinations", &self.destinations)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("authority", &self.authority)?;
        map.serialize_entry("timeout", &self.timeout.map(duration::format))?;
        map.serialize_entry("retries", &self.retries)?;
        map.serialize_entry("fault", &self.fault)?;
        map.serialize_entry("mirrors", &self.mirrors)?;
        map.serialize_entry("rejected", &self.rejected)?;
        map.serialize_entry("policy", &self.policy)?;
        map.end()
    }
}

impl Serialize for Destination {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("host", &self.host)?;
        map.serialize_entry("subset", &self.subset)?;
        map.serialize_entry("port", &self.port)?;
        map.serialize_entry("weight", &self.weight)?;
        // Only where there is something to say: a destination in order has four keys.
        if let Some(refusal) = &self.refusal {
            map.serialize_entry("refusal", refusal)?;
        }
        map.end()
    }
}

impl Serialize for Mirrored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let to = &self.destination;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("host", &to.host)?;
        map.serialize_entry("subset", &to.subset)?;
        map.serialize_entry("port", &to.port)?;
        map.serialize_entry("percentage", &self.share.as_percentage())?;
        if let Some(refusal) = &to.refusal {
            map.serialize_entry("refusal", refusal)?;
        }
        map.end()
    }
}

impl Serialize for Retries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("attempts", &self.attempts)?;
        map.serialize_entry("retry_on", &self.retry_on)?;
        let per_try = self.per_try_timeout.map(duration::format);
        map.serialize_entry("per_try_timeout", &per_try)?;
        map.serialize_entry("backoff", &duration::format(self.backoff))?;
        map.serialize_entry("default", &self.is_default)?;
        map.end()
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("delay", &self.delay.map(Delay))?;
        map.serialize_entry("abort", &self.abort.map(Aborted))?;
        map.end()
    }
}

struct Delay((Percent, Duration));

impl Serialize for Delay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (share, fixed) = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("percentage", &share.as_percentage())?;
        map.serialize_entry("fixed_delay", &duration::format(fixed))?;
        map.end()
    }
}

struct Aborted((Percent, Abort));

impl Serialize for Aborted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (share, abort) = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("percentage", &share.as_percentage())?;
        match (abort.as_http_status(), abort.as_grpc_status()) {
            (Some(status), _) => map.serialize_entry("http_status", &status.as_u16())?,
            (None, status) => map.serialize_entry("grpc_status", &status)?,
        }
        map.end()
    }
}

impl Serialize for Rejected {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("virtual_service", &self.virtual_service)?;
        map.serialize_entry("route", &self.route)?;
        map.serialize_entry("match", &self.match_block)?;
        map.serialize_entry("because", &self.because)?;
        map.end()
    }
}
