//! Endpoints that come from the application instead of from a rule.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::{Mesh, Shared};
use crate::endpoint::Endpoint;

/// Tells which endpoints a destination has, whenever that changes: a registry's client, a watcher
/// of files, the slices of a Kubernetes Service.
///
/// A channel is one: `tokio::sync::mpsc::Receiver<Vec<Endpoint>>`.
pub trait EndpointSource: Send + 'static {
    /// Waits for the next whole set of endpoints; nothing when there will not be another.
    ///
    /// Dropping the future must lose nothing: it is asked for again.
    fn next(&mut self) -> impl Future<Output = Option<Vec<Endpoint>>> + Send;
}

impl EndpointSource for tokio::sync::mpsc::Receiver<Vec<Endpoint>> {
    fn next(&mut self) -> impl Future<Output = Option<Vec<Endpoint>>> + Send {
        self.recv()
    }
}

impl Mesh {
    /// Gives a port of a host these endpoints, in place of those that rules say or DNS finds.
    ///
    /// They hold from the next request on, for every subset whose labels they carry, and through
    /// every [`apply`](Self::apply), until they are set again or [given up](Self::unset_endpoints).
    /// Endpoints of an address that is known go on counting and keep their connections; requests
    /// under way to others end in peace. None at all is an answer, too: requests get 503 UH.
    ///
    /// `host` is a full name, as a rule's `destination.host` is after it has been completed. Rules
    /// still decide whether the host exists: endpoints of a host or port that nothing declares wait
    /// for a rule that does. It costs a copy of the list of destinations; what is in no set given
    /// for the host is touched nowhere.
    ///
    /// ```
    /// use tower_mesh::endpoint::{Address, Endpoint};
    /// use tower_mesh::mesh::Mesh;
    ///
    /// # #[cfg(feature = "yaml")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mesh, _) = Mesh::builder()
    ///     .yaml(
    ///         "apiVersion: v1
    /// kind: Service
    /// metadata: {name: reviews, namespace: default}
    /// spec: {ports: [{port: 9080, name: http}]}
    /// ",
    ///     )
    ///     .build()?;
    /// let host = "reviews.default.svc.cluster.local";
    /// let endpoint = Endpoint::new(Address::new("10.0.0.1", 8080), Default::default());
    /// mesh.set_endpoints(host, 9080, vec![endpoint]);
    /// assert_eq!(mesh.clusters()[0].endpoints[0].endpoint.address().to_string(), "10.0.0.1:8080");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "yaml"))]
    /// # fn main() {}
    /// ```
    pub fn set_endpoints(&self, host: &str, port: u16, endpoints: Vec<Endpoint>) {
        self.shared.give(host, port, Some(endpoints));
    }

    /// Has the endpoints of a port of a host come from rules again.
    pub fn unset_endpoints(&self, host: &str, port: u16) {
        self.shared.give(host, port, None);
    }

    /// [Sets](Self::set_endpoints) the endpoints of a port of a host to what a source says, until
    /// the source has nothing more to say or the mesh is gone.
    ///
    /// The future is to be spawned. It keeps no mesh alive; dropping it leaves the endpoints as
    /// they were told last.
    ///
    /// ```
    /// use tokio::sync::mpsc;
    /// use tower_mesh::endpoint::Endpoint;
    /// use tower_mesh::mesh::Mesh;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mesh, _) = Mesh::builder().build()?;
    /// let (tell, told) = mpsc::channel::<Vec<Endpoint>>(1);
    /// tokio::spawn(mesh.follow("reviews.default.svc.cluster.local", 9080, told));
    /// tell.send(Vec::new()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn follow<S: EndpointSource>(
        &self,
        host: &str,
        port: u16,
        mut source: S,
    ) -> impl Future<Output = ()> + Send + 'static + use<S> {
        let (mesh, mut gone) = (Arc::downgrade(&self.shared), self.shared.gone.subscribe());
        let host = host.to_owned();
        async move {
            loop {
                let next = {
                    let mut next = pin!(source.next());
                    let mut gone = pin!(gone.changed());
                    poll_fn(|cx| match gone.as_mut().poll(cx) {
                        Poll::Ready(_) => Poll::Ready(None),
                        Poll::Pending => next.as_mut().poll(cx),
                    })
                    .await
                };
                let (Some(endpoints), Some(mesh)) = (next, mesh.upgrade()) else {
                    return;
                };
                mesh.give(&host, port, Some(endpoints));
            }
        }
    }
}

impl Shared {
    fn give(self: &Arc<Self>, host: &str, port: u16, endpoints: Option<Vec<Endpoint>>) {
        {
            let _one_at_a_time = self.one_at_a_time();
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            self.plan
                .replace(&self.plan.get().give(&host, port, endpoints));
        }
        self.attend_to_names();
    }
}
