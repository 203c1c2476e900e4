//! Connections: proxies, TLS, and timeouts.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use ureq::{
    Agent,
    unversioned::{
        resolver::DefaultResolver,
        transport::{
            Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers,
            NextTimeout, TcpConnector, Transport, TransportAdapter,
        },
    },
};

use super::{Repository, ResponseLimits, lock};
use crate::{
    image::distribution::proxy::Proxy,
    model::error::{Error, Result},
};

/// The time limit for resolving a name or connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// The time limit for a pause in an answer: a registry may be slow with a large blob.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// The time for which a connection may accept nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The largest header of an answer.
const MAX_HEADER: usize = 64 << 10;

/// Connections to servers that are reached in one way.
#[derive(Clone, Debug)]
pub(in crate::sys) struct Connection {
    /// The pool of connections.
    pub(in crate::sys) agent: Agent,
    /// The proxy they go through.
    pub(in crate::sys) proxy: Option<Proxy>,
}

/// Returns new connections, which use TLS for `https` URLs and proxies.
///
/// # Errors
/// The address of the proxy cannot be used.
pub(in crate::sys) fn connect(
    tls: Option<Arc<ClientConfig>>,
    proxy: Option<Proxy>,
    limits: &ResponseLimits,
) -> Result<Connection> {
    let through = match &proxy {
        None => None,
        Some(proxy) => Some(ureq::Proxy::new(proxy.url.reveal()).map_err(|_| {
            Error::usage(format!("`{}` is not the address of a proxy", proxy.variable))
                .hint("in user and password, `%` and two digits stand for every special character")
        })?),
    };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(false)
        // Each location is checked first: may it be requested, and with which credentials?
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(MAX_HEADER)
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(limits.written))
        .timeout_per_read(Some(READ_TIMEOUT))
        .timeout_per_write(Some(WRITE_TIMEOUT))
        // The variables are read in `distribution::proxy`, and not by the HTTP library.
        .proxy(through)
        .build();
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(TlsConnector(tls));
    let agent = Agent::with_parts(config, connector, DefaultResolver::default());
    Ok(Connection { agent, proxy })
}

impl Repository {
    /// Returns the connections for a URL. An interrupt ends them.
    pub(super) fn connection(&self, url: &str) -> Result<Connection> {
        let proxy = self.session.proxies.choose(url)?;
        let key = (
            url.starts_with("https://"),
            proxy.as_ref().map(|proxy| proxy.url.reveal().to_owned()),
        );
        let mut agents = lock(&self.agents);
        if let Some((connection, _)) = agents.get(&key) {
            return Ok(connection.clone());
        }
        let secure = key.0 || key.1.as_ref().is_some_and(|proxy| proxy.starts_with("https://"));
        let tls = if secure { Some(self.session.tls()?) } else { None };
        let connection = connect(tls, proxy, &self.session.settings.limits)?;
        let ends = connection.agent.clone();
        let hook = self.cx().children.when_interrupted(move || ends.clone().shutdown());
        agents.insert(key, (connection.clone(), hook));
        Ok(connection)
    }
}

/// Wraps connections in TLS. The connector of the HTTP library has no place for a verifier.
#[derive(Debug)]
struct TlsConnector(Option<Arc<ClientConfig>>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let config = self.0.clone().ok_or(ureq::Error::TlsRequired)?;
        let host = details.uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| ureq::Error::Tls("the host is not a name"))?;
        let mut connection = ClientConnection::new(config, name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let size = (details.config.input_buffer_size(), details.config.output_buffer_size());
        let buffers = LazyBuffers::new(size.0, size.1);
        let stream = StreamOwned { conn: connection, sock: socket };
        Ok(Some(Either::B(TlsTransport { buffers, stream })))
    }
}

/// A connection with TLS.
struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsTransport").field("below", &self.stream.sock.inner()).finish()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        std::io::Write::write_all(&mut self.stream, output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = std::io::Read::read(&mut self.stream, input)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
