//! The user id that stamps the sockets of control threads.
//!
//! Overlay and chain sockets are made inside libraries that set no firewall mark. The kernel
//! stamps every socket with the *file-system* user id of the thread that makes it, and that id
//! is a property of one thread: threads that adopt [`control_uid`] make sockets the kill switch
//! lets pass (`meta skuid`) and the routes keep out of the tunnel (`uidrange`).
//!
//! Trap: such a thread also opens *files* as that user, for whom a home is closed. Keep disk work on other threads, or
//! do it [`as_owner`].

use nix::unistd::{Uid, geteuid, setfsuid};

use super::CONTROL_UID;

/// Why a thread could not become a control thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The process may not change user ids (`CAP_SETUID`).
    #[error("may not set the file-system user id to {wanted}; it is {now}")]
    NotPermitted {
        /// What was asked.
        wanted: u32,
        /// What it stayed.
        now: u32,
    },
}

/// Returns the user id whose sockets pass beside the tunnel. It needs no account of that number.
pub fn control_uid() -> u32 {
    CONTROL_UID
}

/// Makes the calling thread a control thread; for `on_thread_start` of a runtime.
///
/// Threads spawned by this one afterwards inherit it.
///
/// # Errors
/// [`ControlError::NotPermitted`]; the thread is then unchanged.
pub fn adopt_control_uid() -> Result<(), ControlError> {
    let wanted = Uid::from_raw(CONTROL_UID);
    setfsuid(wanted);
    // The call cannot fail loudly; asking again tells what it is now.
    let now = setfsuid(wanted);
    if now == wanted {
        return Ok(());
    }
    Err(ControlError::NotPermitted {
        wanted: CONTROL_UID,
        now: now.as_raw(),
    })
}

/// Does disk work as the process's own user where the calling thread is a control thread; elsewhere just does it. A
/// socket that is made meanwhile would not pass the kill switch.
pub fn as_owner<T>(work: impl FnOnce() -> T) -> T {
    // There is no such user: nothing changes, and the answer is who it is now (setfsuid(2)).
    let now = setfsuid(Uid::from_raw(u32::MAX));
    if now != Uid::from_raw(CONTROL_UID) {
        return work();
    }
    let _again = Control;
    setfsuid(geteuid());
    work()
}

/// Makes the calling thread a control thread again.
struct Control;

impl Drop for Control {
    fn drop(&mut self) {
        setfsuid(Uid::from_raw(CONTROL_UID));
    }
}
