//! Who is let in: the unix socket, its mode, and the user at its other end.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{Group, Uid, chown};
use tokio::net::UnixListener;

use super::guard::{GuardedListener, PeerGuard};
use super::{NodeControl, handlers};
use crate::error::{ErrorCode, Problem};

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another daemon answers there.
    #[error("{} is already served by another daemon", path.display())]
    Busy {
        /// The socket.
        path: PathBuf,
    },
    /// Something else than a socket is in the way.
    #[error("{} exists and is not a socket", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{} cannot be served", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ServeError {
    /// The same as a user sees it.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Busy { .. } => Problem::new(ErrorCode::SocketBusy, self),
            Self::NotASocket { .. } => Problem::new(ErrorCode::ConfigBadValue, self)
                .with_next("warren config explain api.socket"),
            Self::Io { source, .. } => Problem::io(ErrorCode::HomeUnusable, source, self),
        }
    }
}

/// The API's socket, bound and guarded, not serving yet.
#[derive(Debug)]
pub struct ApiServer {
    listener: UnixListener,
    file: SocketFile,
    guard: PeerGuard,
}

/// The socket's file; removed when dropped, so that who connects next is told that nobody is home.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl ApiServer {
    /// Binds `path` with mode 0660, owned by the daemon's user and, if there is one of that
    /// name, `group`.
    ///
    /// A socket file that a dead daemon left is replaced; a living one is not. Who connects before it is served waits.
    ///
    /// # Errors
    /// [`ServeError`]
    pub fn bind(path: &Path, group: Option<&str>) -> Result<Self, ServeError> {
        let group = group
            .and_then(|it| Group::from_name(it).ok().flatten())
            .map(|it| it.gid);
        let io = |source| ServeError::Io {
            path: path.to_owned(),
            source,
        };
        clear_the_way(path)?;
        if let Some(folder) = path.parent().filter(|it| !it.exists()) {
            fs::create_dir_all(folder).map_err(io)?;
            // The umask keeps the home from others; the way to the socket is open, and the guard stands there.
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(io)?;
        }
        // Until the mode is set below, the guard alone keeps strangers out.
        let listener = UnixListener::bind(path).map_err(io)?;
        let file = SocketFile(path.to_owned());
        if let Some(group) = group {
            chown(path, None, Some(group)).map_err(|errno| io(errno.into()))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(io)?;
        let guard = PeerGuard::new(Uid::effective(), group);
        Ok(Self {
            listener,
            file,
            guard,
        })
    }

    /// Serves until `ending` is done; then lets answers under way finish.
    ///
    /// # Errors
    /// [`ServeError::Io`]
    pub async fn serve(
        self,
        node: Arc<dyn NodeControl>,
        ending: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let Self {
            listener,
            file,
            guard,
        } = self;
        let guarded = GuardedListener::new(listener, guard);
        let served = axum::serve(guarded, handlers::router(node))
            .with_graceful_shutdown(ending)
            .await;
        let path = file.0.clone();
        drop(file); // Before the process ends.
        served.map_err(|source| ServeError::Io { path, source })
    }
}

/// Removes a socket that nobody serves.
fn clear_the_way(path: &Path) -> Result<(), ServeError> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !meta.file_type().is_socket() {
        return Err(ServeError::NotASocket {
            path: path.to_owned(),
        });
    }
    if BlockingStream::connect(path).is_ok() {
        return Err(ServeError::Busy {
            path: path.to_owned(),
        });
    }
    fs::remove_file(path).map_err(|source| ServeError::Io {
        path: path.to_owned(),
        source,
    })
}
