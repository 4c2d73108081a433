//! What the node shows of its receipts.

use warren_proto::SessionId;

use super::Node;
use crate::api::types::{ReceiptList, ReceiptView};
use crate::error::{ErrorCode, Problem};
use crate::receipt;

impl Node {
    pub(super) async fn receipt_list(&self) -> Result<ReceiptList, Problem> {
        let receipts = self.receipts.clone();
        let all = tokio::task::spawn_blocking(move || receipts.all()).await;
        let all = all.map_err(|error| Problem::new(ErrorCode::Internal, error))?;
        let all = all.map_err(|error| error.problem())?;
        let (own, token) = (Some(self.key.id()), &self.config.token);
        let receipts = all.iter().map(|it| receipt::row(it, own, token)).collect();
        Ok(ReceiptList { receipts })
    }

    pub(super) async fn one_receipt(&self, session: SessionId) -> Result<ReceiptView, Problem> {
        let receipts = self.receipts.clone();
        let found = tokio::task::spawn_blocking(move || receipts.get(session)).await;
        let found = found.map_err(|error| Problem::new(ErrorCode::Internal, error))?;
        let found = found.map_err(|error| error.problem())?;
        let found = found.ok_or_else(|| {
            let seen = format!("no receipt of session {session} is kept here");
            Problem::new(ErrorCode::NotFound, seen).with_next("warren receipt ls")
        })?;
        Ok(receipt::view(
            &found,
            Some(self.key.id()),
            &self.config.token,
        ))
    }
}
