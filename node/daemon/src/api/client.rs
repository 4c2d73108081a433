//! The other end of the door: asks a running daemon. One connection for each question.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::types::Document;
use crate::error::{ErrorCode, Problem};

mod calls;
mod stream;

pub use stream::LineStream;

/// The largest answer that is read. Our choice: 1000 exits have about 1 MiB.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// How long the daemon may take to begin its answer: longer than its own limit.
const ANSWER_LIMIT: Duration = Duration::from_secs(150);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers at {}", socket.display())]
    NotReachable {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket is there, but not for this user.
    #[error("you may not talk to the daemon at {}", socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
    },
    /// The daemon answered with a problem.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Broken(#[source] hyper::Error),
    /// The request could not be written.
    #[error("{path} cannot be asked for")]
    BadRequest {
        /// The path asked for.
        path: String,
    },
    /// The answer is longer than is read.
    #[error("the daemon's answer to {path} is longer than {} MiB", MAX_ANSWER_BYTES >> 20)]
    TooLong {
        /// The path asked.
        path: String,
    },
    /// The answer was not understood: another version.
    #[error("the daemon's answer to {path} is not understood: {why}")]
    Garbled {
        /// The path asked.
        path: String,
        /// Why.
        why: String,
    },
    /// No answer in time.
    #[error("the daemon did not answer {path} within {} s", ANSWER_LIMIT.as_secs())]
    Slow {
        /// The path asked.
        path: String,
    },
}

impl ClientError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::NotReachable { source, .. } => {
                Problem::new(ErrorCode::DaemonNotReachable, format!("{self}: {source}"))
            }
            Self::Denied { .. } => Problem::new(ErrorCode::SocketDenied, self),
            Self::Refused(problem) => problem.clone(),
            Self::Broken(source) => {
                Problem::new(ErrorCode::DaemonNotReachable, format!("{self}: {source}"))
            }
            Self::BadRequest { .. } => Problem::new(ErrorCode::BadRequest, self),
            Self::TooLong { .. } => Problem::new(ErrorCode::AnswerTooLong, self),
            Self::Garbled { .. } => Problem::new(ErrorCode::AnotherVersion, self),
            Self::Slow { .. } => Problem::new(ErrorCode::RequestTimeout, self),
        }
    }
}

/// Asks the daemon behind one socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Will ask the daemon that serves `socket`; connects with each question.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// The process that serves the socket. `None` if nobody does, or one that this process cannot see.
    pub async fn process(&self) -> Option<i32> {
        let stream = UnixStream::connect(&self.socket).await.ok()?;
        stream.peer_cred().ok()?.pid().filter(|it| *it > 0)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let answer = self.send(Method::GET, path, Bytes::new()).await?;
        read(path, answer).await
    }

    /// `Option` fields that are `None` are left out, as a query demands.
    async fn get_with<Q: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Q,
    ) -> Result<T, ClientError> {
        let query = query_text(query).ok_or_else(|| ClientError::BadRequest {
            path: path.to_owned(),
        })?;
        self.get(&format!("{path}?{query}")).await
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        read(path, self.send_json(path, body).await?).await
    }

    async fn send_json<B: Serialize + Sync>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<Response<Incoming>, ClientError> {
        let body = serde_json::to_vec(body).map_err(|_| ClientError::BadRequest {
            path: path.to_owned(),
        })?;
        self.send(Method::POST, path, Bytes::from(body)).await
    }

    async fn text(&self, path: &str) -> Result<String, ClientError> {
        let bytes = body_bytes(path, self.send(Method::GET, path, Bytes::new()).await?).await?;
        String::from_utf8(bytes.to_vec()).map_err(|error| garbled(path, error))
    }

    /// Sends one request; an answer that is a problem becomes an error here.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.no_one(error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(ClientError::Broken)?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "warren")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|_| ClientError::BadRequest {
                path: path.to_owned(),
            })?;
        let answer = tokio::time::timeout(ANSWER_LIMIT, sender.send_request(request))
            .await
            .map_err(|_| ClientError::Slow {
                path: path.to_owned(),
            })?
            .map_err(ClientError::Broken)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let problem: Problem = read(path, answer).await?;
        Err(ClientError::Refused(problem))
    }

    fn no_one(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        if source.kind() == io::ErrorKind::PermissionDenied {
            return ClientError::Denied { socket };
        }
        ClientError::NotReachable { socket, source }
    }
}

fn garbled(path: &str, why: impl ToString) -> ClientError {
    ClientError::Garbled {
        path: path.to_owned(),
        why: why.to_string(),
    }
}

async fn body_bytes(path: &str, answer: Response<Incoming>) -> Result<Bytes, ClientError> {
    let limited = Limited::new(answer.into_body(), MAX_ANSWER_BYTES);
    let read = limited.collect().await.map(|it| it.to_bytes());
    read.map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => ClientError::Broken(*error),
        Err(error) if error.is::<LengthLimitError>() => ClientError::TooLong {
            path: path.to_owned(),
        },
        Err(error) => garbled(path, error),
    })
}

async fn read<T: DeserializeOwned>(
    path: &str,
    answer: Response<Incoming>,
) -> Result<T, ClientError> {
    let bytes = body_bytes(path, answer).await?;
    let document: Document<T> =
        serde_json::from_slice(&bytes).map_err(|error| garbled(path, error))?;
    Ok(document.body)
}

/// Writes a flat structure as a query. `None` if it is not flat.
fn query_text<Q: Serialize>(query: &Q) -> Option<String> {
    let serde_json::Value::Object(fields) = serde_json::to_value(query).ok()? else {
        return None;
    };
    let mut parts = Vec::new();
    for (name, value) in fields {
        let text = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::Bool(it) => it.to_string(),
            serde_json::Value::Number(it) => it.to_string(),
            serde_json::Value::String(it) => percent(&it),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
        };
        parts.push(format!("{name}={text}"));
    }
    Some(parts.join("&"))
}

/// RFC 3986: everything but the unreserved characters is escaped.
fn percent(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::ExitsQuery;

    #[test]
    fn a_query_names_what_is_set_and_escapes_it() {
        let query = ExitsQuery {
            policy: Some("web+dns".to_owned()),
            ..ExitsQuery::default()
        };
        assert_eq!(
            query_text(&query).unwrap(),
            "policy=web%2Bdns&refresh=false&sort=rank"
        );
    }
}
