//! `warren daemon`.

use super::{Desk, Told};
use crate::args::DaemonArgs;
use crate::page::Page;

pub(super) async fn run(_desk: &Desk<'_>, _args: &DaemonArgs) -> Told {
    Ok(Page::raw(serde_json::json!({}), ""))
}
