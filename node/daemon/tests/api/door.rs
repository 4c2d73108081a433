//! Who is let in: the socket's mode, the peer's user, web pages, and a place that is taken.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::unistd::Uid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use warren_daemon::api::{ApiServer, Client, ServeError};

use crate::desk::{serve, socket};

const ASK_AS: &str = "WARREN_TEST_API_SOCKET";
const NOBODY: u32 = 65_534;

/// Sends `text` as it is and reads to the end.
pub(crate) async fn raw(folder: &Path, text: &str) -> String {
    let mut stream = UnixStream::connect(socket(folder)).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses early may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_socket_is_for_its_user_and_its_group() {
    let served = serve();
    let mode = fs::metadata(socket(served.folder.path()))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn a_web_page_is_refused() {
    let served = serve();
    let text = "POST /v1/down HTTP/1.1\r\nhost: x\r\norigin: https://site.example\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let answer = raw(served.folder.path(), text).await;
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("W1102"),
        "{answer}"
    );
    assert!(served.desk.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_place_that_is_taken_is_not_stolen_and_a_dead_ones_is_reused() {
    let served = serve();
    let path = socket(served.folder.path());
    assert!(matches!(
        ApiServer::bind(&path, None),
        Err(ServeError::Busy { .. })
    ));
    served.client.status().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    drop(UnixListener::bind(socket(folder.path())).unwrap()); // As a killed daemon leaves it.
    ApiServer::bind(&socket(folder.path()), None).expect("a dead daemon's place is free");

    let file = folder.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(
        ApiServer::bind(&file, None),
        Err(ServeError::NotASocket { .. })
    ));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

/// Not a test by itself: another user's program that asks and prints the code of the refusal.
#[tokio::test]
async fn stranger_process() {
    let Some(path) = std::env::var_os(ASK_AS) else {
        return;
    };
    let answer = Client::new(path.as_ref()).status().await;
    println!(
        "\nanswer {}",
        answer.map_or_else(|it| it.problem().code, |_| "let in".to_owned())
    );
}

fn ask_as_nobody(path: &Path) -> String {
    // By its descriptor: the build folder may lie where nobody else may look.
    let program = fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command
        .args(["--exact", "door::stranger_process", "--nocapture"])
        .env(ASK_AS, path);
    let output = command.uid(NOBODY).gid(NOBODY).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|it| it.strip_prefix("answer "))
        .unwrap_or(&text)
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_is_refused_by_the_mode_and_by_the_guard() {
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: acting as another user needs root");
        return;
    }
    let served = serve();
    let path = socket(served.folder.path());
    fs::set_permissions(served.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let asked = path.clone();
    let by_mode = tokio::task::spawn_blocking(move || ask_as_nobody(&asked))
        .await
        .unwrap();
    assert_eq!(by_mode, "W1102");

    // Should the mode ever be wrong, the guard still asks the kernel who is there.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let asked = path.clone();
    let by_guard = tokio::task::spawn_blocking(move || ask_as_nobody(&asked))
        .await
        .unwrap();
    assert_eq!(by_guard, "W1102");
    assert!(served.desk.asked.lock().unwrap().is_empty());
}
