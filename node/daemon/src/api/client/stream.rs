//! An answer that comes line by line.

use std::marker::PhantomData;

use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::{ClientError, garbled};
use crate::api::types::Document;

/// The longest line that is read.
const MAX_LINE_BYTES: usize = 256 * 1024;

/// Items as the daemon sends them, one JSON document a line.
#[derive(Debug)]
pub struct LineStream<T> {
    path: &'static str,
    body: Incoming,
    buffer: Vec<u8>,
    items: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> LineStream<T> {
    pub(super) fn new(path: &'static str, answer: Response<Incoming>) -> Self {
        Self {
            path,
            body: answer.into_body(),
            buffer: Vec::new(),
            items: PhantomData,
        }
    }

    /// The next item. `None` when the daemon has said everything. Cancel-safe.
    ///
    /// # Errors
    /// [`ClientError::Broken`], [`ClientError::Garbled`]
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let document: Document<T> =
                    serde_json::from_slice(&line).map_err(|error| garbled(self.path, error))?;
                return Ok(Some(document.body));
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(garbled(
                    self.path,
                    format!("a line of more than {MAX_LINE_BYTES} bytes"),
                ));
            }
            match self.body.frame().await {
                Some(frame) => {
                    let frame = frame.map_err(ClientError::Broken)?;
                    self.buffer
                        .extend_from_slice(frame.data_ref().map_or(&[], |it| it));
                }
                None => return Ok(None),
            }
        }
    }
}
