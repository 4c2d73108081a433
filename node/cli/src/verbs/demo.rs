//! `warren demo`.

use super::{Desk, Told};
use crate::args::DemoArgs;
use crate::page::Page;

pub(super) async fn run(_desk: &mut Desk<'_>, _args: &DemoArgs) -> Told {
    Ok(Page::raw(serde_json::json!({}), ""))
}
