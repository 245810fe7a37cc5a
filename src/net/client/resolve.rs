//! Names to addresses.
//!
//! On Linux the program asks the name servers of `/etc/resolv.conf` by itself: in a static binary the C library would load
//! the computer's resolver plug-ins, which belong to another C library, into the process. Elsewhere the system is asked,
//! which knows of VPNs and `.local`.

use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::vec::IntoIter;

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// Looks names up. Clones share what is remembered.
#[derive(Clone, Default)]
pub(crate) struct Resolver(system::System);

impl Service<Name> for Resolver {
    type Response = IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let system = self.0.clone();
        Box::pin(async move {
            // This computer, whatever a name server says.
            let found = if name.as_str().eq_ignore_ascii_case("localhost") {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            } else {
                system.look_up(name.as_str()).await?
            };
            let address = |ip: IpAddr| SocketAddr::new(ip, 0);
            let addresses: Vec<SocketAddr> = found.into_iter().map(address).collect();
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::sync::Mutex;
    use std::sync::PoisonError;

    use hickory_resolver::ResolverBuilder;
    use hickory_resolver::TokioResolver;

    /// The name servers that the computer had when it was asked first.
    #[derive(Clone, Default)]
    pub(super) struct System(Arc<Mutex<Option<Arc<TokioResolver>>>>);

    impl System {
        pub(super) async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            let resolver = self.resolver()?;
            match resolver.lookup_ip(name).await {
                Ok(found) => Ok(found.iter().collect()),
                Err(error) => {
                    // The computer may be in another network by now.
                    self.replace(None);
                    Err(io::Error::other(error))
                }
            }
        }

        fn resolver(&self) -> io::Result<Arc<TokioResolver>> {
            let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(held) = &*held {
                return Ok(Arc::clone(held));
            }
            drop(held);
            let made = TokioResolver::builder_tokio().and_then(ResolverBuilder::build);
            let made = Arc::new(made.map_err(io::Error::other)?);
            self.replace(Some(Arc::clone(&made)));
            Ok(made)
        }

        fn replace(&self, resolver: Option<Arc<TokioResolver>>) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = resolver;
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::net::IpAddr;

    /// The system.
    #[derive(Clone, Default)]
    pub(super) struct System;

    impl System {
        pub(super) async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
    }
}
