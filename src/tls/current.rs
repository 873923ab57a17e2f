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
pub(super) struct Current {
    state: Mutex<State>,
    /// Held by the one who looks at files, who may be long about it.
    looking: Arc<tokio::sync::Mutex<()>>,
}

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
    /// What to speak with. Files are looked at where it is time to, on a thread that may block;
    /// one looks, and meanwhile others take what was there, or wait where there was nothing yet.
    pub(crate) async fn config(
        self: &Arc<Self>,
        http2: bool,
    ) -> Result<Arc<ClientConfig>, Problem> {
        let gate = &self.current.looking;
        let gate = match self.known(http2) {
            Some((config, true)) => return Ok(config),
            Some((config, false)) => match gate.clone().try_lock_owned() {
                Ok(gate) => gate,
                Err(_) => return Ok(config),
            },
            None => gate.clone().lock_owned().await,
        };
        // Another may have looked while this one waited.
        if let Some((config, true)) = self.known(http2) {
            return Ok(config);
        }
        let tls = self.clone();
        // Whoever waits for this may leave; the look goes on, and nobody begins another meanwhile.
        let looking = tokio::task::spawn_blocking(move || {
            let _gate = gate;
            tls.look(http2)
        });
        let looked = looking.await;
        looked.unwrap_or_else(|_| Err(Problem::general("looking at files was given up")))
    }

    /// A lock that is poisoned guards no broken data. It is never held while files are read.
    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.current.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// What was made last, and whether it is too early to look at files again.
    fn known(&self, http2: bool) -> Option<(Arc<ClientConfig>, bool)> {
        let state = self.state();
        let fresh = state.looked.is_some_and(|it| it.elapsed() < LOOK_EVERY);
        state.made.as_ref().map(|it| (it.get(http2), fresh))
    }

    /// What to speak with, by the files as they are now. Blocks while it reads them.
    fn look(&self, http2: bool) -> Result<Arc<ClientConfig>, Problem> {
        let stamps = stamps(self.settings());
        let unchanged = self.state().stamps == stamps;
        let made = match self.known(http2) {
            Some(_) if unchanged => None,
            known => match (make(self.settings()), known) {
                (Ok(made), _) => Some(made),
                // Half written, or gone for a moment: what was there holds until there is better.
                (Err(_), Some(_)) => None,
                (Err(problem), None) => return Err(problem),
            },
        };
        let mut state = self.state();
        state.looked = Some(Instant::now());
        if let Some(made) = made {
            state.stamps = stamps;
            state.made = Some(made);
        }
        match &state.made {
            Some(made) => Ok(made.get(http2)),
            None => Err(Problem::general("there is nothing to speak with")),
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

#[cfg(all(test, unix))]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Tls, TlsSettings};
    use crate::tls::Roots;

    /// A file that is read for as long as nobody writes it.
    fn make_slow(file: &Path) {
        let _ = std::fs::remove_file(file);
        let made = std::process::Command::new("mkfifo").arg(file).status();
        assert!(made.expect("it is everywhere").success());
    }

    #[test]
    fn a_slow_look_at_files_keeps_one_thread_and_nobody_waiting() {
        let name = format!("tower-mesh-{}-roots.pem", std::process::id());
        let file = std::env::temp_dir().join(name);
        let authority = rcgen::generate_simple_self_signed(["a.com".to_owned()]);
        std::fs::write(&file, authority.expect("a key").cert.pem()).expect("room");
        let tls = Arc::new(Tls::new(TlsSettings {
            roots: Roots::File(file.clone()),
            ..TlsSettings::default()
        }));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().max_blocking_threads(3).build();
        let runtime = runtime.expect("a runtime");
        let mut slow = tokio::task::JoinSet::new();
        runtime.block_on(async {
            let first = tls.config(false).await.expect("good roots");
            make_slow(&file);
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(6)).await;
            tokio::time::resume();
            let it = tls.clone();
            slow.spawn(async move { it.config(false).await.is_ok() });
            tokio::task::yield_now().await;
            for _ in 0..20 {
                let known = tls.config(false).await.expect("what was there");
                assert!(Arc::ptr_eq(&known, &first));
            }
            // Where there was nothing yet, who waits does so without a thread.
            let other = Arc::new(Tls::new(tls.settings().clone()));
            for _ in 0..20 {
                let other = other.clone();
                tokio::spawn(async move { other.config(false).await.is_ok() });
                tokio::task::yield_now().await;
            }
            let free = tokio::task::spawn_blocking(|| ());
            let free = tokio::time::timeout(Duration::from_secs(10), free).await;
            free.expect("a thread is free").expect("no panic");
        });
        assert!(slow.try_join_next().is_none());
        // Both wait in the end for what this writes.
        drop(std::fs::write(&file, "-----BEGIN"));
        let slow = runtime.block_on(slow.join_next());
        assert!(slow.expect("one").expect("no panic"));
        drop(std::fs::remove_file(&file));
        runtime.shutdown_background();
    }
}
