//! What rustls makes of settings, as their files were when last looked at.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use rustls::sign::SingleCertAndKey;
use tokio::time::Instant;

use super::files::{self, Problem};
use super::settings::{Roots, Tls, TlsSettings};
use super::verify::Verifier;

/// How often files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Current(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    looked: Option<Instant>,
    stamps: Vec<Stamp>,
    made: Option<Made>,
}

/// When a file was changed and how long it was; nothing of one that is not there.
type Stamp = Option<(Option<SystemTime>, u64)>;

/// One for each version of HTTP, which differ in what they announce.
#[derive(Clone, Debug)]
struct Made {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Made {
    fn get(&self, http2: bool) -> Arc<ClientConfig> {
        match http2 {
            false => self.http1.clone(),
            true => self.http2.clone(),
        }
    }
}

impl Tls {
    /// What to speak with, unless files have to be looked at first.
    pub(crate) fn config(&self, http2: bool) -> Option<Arc<ClientConfig>> {
        let state = self.current.0.try_lock().ok()?;
        let fresh = state.looked?.elapsed() < LOOK_EVERY;
        state
            .made
            .as_ref()
            .filter(|_| fresh)
            .map(|it| it.get(http2))
    }

    /// What to speak with, by the files as they are now. Blocks while it reads them.
    pub(crate) fn refreshed(&self, http2: bool) -> Result<Arc<ClientConfig>, Problem> {
        let mut state: MutexGuard<'_, State> = self
            .current
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let fresh = state.looked.is_some_and(|it| it.elapsed() < LOOK_EVERY);
        if let Some(made) = state.made.as_ref().filter(|_| fresh) {
            return Ok(made.get(http2));
        }
        let stamps = stamps(self.settings());
        if let Some(made) = state.made.as_ref().filter(|_| state.stamps == stamps) {
            let made = made.get(http2);
            state.looked = Some(Instant::now());
            return Ok(made);
        }
        match (make(self.settings()), &state.made) {
            (Ok(made), _) => {
                let config = made.get(http2);
                let looked = Some(Instant::now());
                *state = State {
                    looked,
                    stamps,
                    made: Some(made),
                };
                Ok(config)
            }
            // Half written, or gone for a moment: what was there holds until there is better.
            (Err(_), Some(made)) => {
                let made = made.get(http2);
                state.looked = Some(Instant::now());
                Ok(made)
            }
            (Err(problem), None) => Err(problem),
        }
    }
}

fn stamps(settings: &TlsSettings) -> Vec<Stamp> {
    let stamp = |path: &Path| {
        let about = fs::metadata(path).ok()?;
        Some((about.modified().ok(), about.len()))
    };
    let mut stamps = Vec::new();
    if let Some(certificate) = &settings.certificate {
        stamps.extend([stamp(&certificate.chain), stamp(&certificate.key)]);
    }
    if let Roots::File(path) = &settings.roots {
        stamps.push(stamp(path));
    }
    stamps.extend(settings.revoked.as_deref().map(stamp));
    stamps
}

fn make(settings: &TlsSettings) -> Result<Made, Problem> {
    if let Some(why) = settings.unusable {
        return Err(Problem::general(why));
    }
    let provider = files::provider()?;
    let certificate = settings.certificate.as_ref();
    let certificate = certificate.map(|it| files::client_certificate(it, &provider));
    let certificate = certificate.transpose()?;
    let revoked = settings.revoked.as_deref().map(files::revoked);
    let verifier = Verifier {
        roots: files::roots(&settings.roots)?,
        revoked: revoked.transpose()?.unwrap_or_default(),
        names: settings.names.clone(),
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::general(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut http1 = match certificate {
        None => builder.with_no_client_auth(),
        Some(it) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(it))),
    };
    let mut http2 = http1.clone();
    let (one, two): (&[&[u8]], &[&[u8]]) = match settings.istio {
        // Few servers care; those that speak HTTP/2 by default need to hear of it.
        false => (&[], &[b"h2"]),
        true => (
            &[b"istio-http/1.1", b"istio", b"http/1.1"],
            &[b"istio-h2", b"istio", b"h2"],
        ),
    };
    let owned = |list: &[&[u8]]| list.iter().map(|it| it.to_vec()).collect();
    http1.alpn_protocols = owned(one);
    http2.alpn_protocols = owned(two);
    Ok(Made {
        http1: Arc::new(http1),
        http2: Arc::new(http2),
    })
}
