//! One handler per path: read, ask the node, write the answer as a document.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, extract::Query as AxumQuery};
use futures::stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use warren_proto::ChannelId;

use super::NodeControl;
use super::types::{Document, Schema};
use crate::error::{ErrorCode, ExitCode, Problem};

/// The largest body of a request. Our choice: the largest real one has a few hundred bytes.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long an answer may take to begin. A stream's own length has no limit.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(120);

type Node = State<Arc<dyn NodeControl>>;
type Reply = Result<Response, Problem>;

/// All paths of the API.
pub(super) fn router(node: Arc<dyn NodeControl>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/exits", get(exits))
        .route("/v1/exits/show", get(exit_shown))
        .route("/v1/up", post(up))
        .route("/v1/down", post(down))
        .route("/v1/exit/check", post(exit_check))
        .route("/v1/exit/terms", get(exit_terms))
        .route("/v1/exit/enable", post(exit_enable))
        .route("/v1/exit/disable", post(exit_disable))
        .route("/v1/exit/status", get(exit_status))
        .route("/v1/exit/guests", get(exit_guests))
        .route("/v1/exit/kick", post(exit_kick))
        .route("/v1/wallet", get(wallet))
        .route("/v1/wallet/withdraw", post(withdraw))
        .route("/v1/wallet/beneficiary", post(fix_beneficiary))
        .route("/v1/wallet/payout", post(pay_out))
        .route("/v1/claim", post(claim_all))
        .route("/v1/channels", get(channels).post(open))
        .route("/v1/channels/{id}/topup", post(top_up))
        .route("/v1/channels/{id}/claim", post(claim))
        .route("/v1/channels/{id}/close", post(close))
        .route("/v1/earn", get(earn))
        .route("/v1/ledger", get(ledger))
        .route("/v1/receipts", get(receipts))
        .route("/v1/receipts/{session}", get(receipt))
        .route("/v1/towers", get(towers))
        .route("/v1/routes", get(routes))
        .route("/v1/routers", get(routers))
        .route("/v1/net/peers", get(peers))
        .route("/v1/net/check", get(net_check))
        .route("/v1/net/stats", get(net_stats))
        .route("/v1/events", get(events))
        .route("/v1/shutdown", post(shutdown))
        .route("/metrics", get(metrics))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_path)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(within_the_limit))
        .layer(from_fn(no_web_page))
        .with_state(node)
}

async fn status(State(node): Node) -> Reply {
    document(node.status().await)
}

async fn exits(State(node): Node, Query(query): Query<super::types::ExitsQuery>) -> Reply {
    document(node.exits(query).await)
}

async fn exit_shown(State(node): Node, Query(query): Query<super::types::ExitQuery>) -> Reply {
    document(node.exit_shown(query).await)
}

async fn up(State(node): Node, Said(request): Said<super::types::UpRequest>) -> Reply {
    Ok(lines(ordered(async move { node.up(request).await }).await?))
}

async fn down(State(node): Node, Said(request): Said<super::types::DownRequest>) -> Reply {
    document(node.down(request).await)
}

async fn exit_check(State(node): Node) -> Reply {
    document(node.exit_check().await)
}

async fn exit_terms(State(node): Node, Query(query): Query<super::types::ExitTermsQuery>) -> Reply {
    document(node.exit_terms(query).await)
}

async fn exit_enable(State(node): Node, Said(it): Said<super::types::ExitEnableRequest>) -> Reply {
    document(ordered(async move { node.exit_enable(it).await }).await)
}

async fn exit_disable(State(node): Node) -> Reply {
    document(node.exit_disable().await)
}

async fn exit_status(State(node): Node) -> Reply {
    document(node.exit_status().await)
}

async fn exit_guests(State(node): Node) -> Reply {
    document(node.exit_guests().await)
}

async fn exit_kick(State(node): Node, Said(it): Said<super::types::KickRequest>) -> Reply {
    document(node.exit_kick(it).await)
}

async fn wallet(State(node): Node) -> Reply {
    document(node.wallet().await)
}

async fn withdraw(State(node): Node, Said(it): Said<super::types::WithdrawRequest>) -> Reply {
    document(node.withdraw(it).await)
}

async fn fix_beneficiary(
    State(node): Node,
    Said(it): Said<super::types::BeneficiaryRequest>,
) -> Reply {
    document(node.fix_beneficiary(it).await)
}

async fn pay_out(State(node): Node, Said(it): Said<super::types::PayoutRequest>) -> Reply {
    document(node.pay_out(it).await)
}

async fn claim_all(State(node): Node) -> Reply {
    document(node.claim_all().await)
}

async fn channels(State(node): Node) -> Reply {
    document(node.channels().await)
}

async fn claim(State(node): Node, Path(id): Path<String>) -> Reply {
    document(node.claim(channel_id(&id)?).await)
}

async fn open(State(node): Node, Said(it): Said<super::types::ChannelOpenRequest>) -> Reply {
    document(node.open(it).await)
}

async fn top_up(
    State(node): Node,
    Path(id): Path<String>,
    Said(it): Said<super::types::ChannelTopUpRequest>,
) -> Reply {
    document(node.top_up(channel_id(&id)?, it).await)
}

async fn close(
    State(node): Node,
    Path(id): Path<String>,
    Said(it): Said<super::types::ChannelCloseRequest>,
) -> Reply {
    document(node.close(channel_id(&id)?, it).await)
}

async fn earn(State(node): Node) -> Reply {
    document(node.earn().await)
}

async fn ledger(State(node): Node, Query(query): Query<super::types::LedgerQuery>) -> Reply {
    document(node.ledger(query).await)
}

async fn receipts(State(node): Node) -> Reply {
    document(node.receipts().await)
}

async fn receipt(State(node): Node, Path(id): Path<String>) -> Reply {
    let session = id.parse();
    let session = session.map_err(|error| Problem::new(ErrorCode::BadRequest, error))?;
    document(node.receipt(session).await)
}

async fn towers(State(node): Node) -> Reply {
    document(node.towers().await)
}

async fn routers(State(node): Node) -> Reply {
    document(node.routers().await)
}

async fn routes(State(node): Node) -> Reply {
    document(node.routes().await)
}

async fn peers(State(node): Node) -> Reply {
    document(node.peers().await)
}

async fn net_check(State(node): Node) -> Reply {
    document(node.net_check().await)
}

async fn net_stats(State(node): Node) -> Reply {
    document(node.net_stats().await)
}

async fn events(State(node): Node) -> Reply {
    Ok(lines(node.events().await?))
}

async fn shutdown(State(node): Node) -> Reply {
    document(node.shutdown().await)
}

async fn metrics(State(node): Node) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], node.metrics()).into_response()
}

async fn no_such_path(request: Request) -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        format!("{} {}", request.method(), request.uri().path()),
    )
}

fn channel_id(text: &str) -> Result<ChannelId, Problem> {
    text.parse()
        .map_err(|error| Problem::new(ErrorCode::BadRequest, error))
}

/// Carries an order out to its end: a handler is dropped with its connection, wherever it is.
async fn ordered<T: Send + 'static>(
    order: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::spawn(order).await;
    done.unwrap_or_else(|error| Err(Problem::new(ErrorCode::Internal, error)))
}

fn document<T: Schema + Serialize>(answer: Result<T, Problem>) -> Reply {
    Ok(Json(Document::of(answer?)).into_response())
}

/// Writes each item as one line of JSON, as it comes.
fn lines<T: Schema + Serialize + Send + 'static>(inbox: mpsc::Receiver<T>) -> Response {
    let body = stream::unfold(inbox, |mut inbox| async move {
        let item = inbox.recv().await?;
        let mut line = serde_json::to_vec(&Document::of(item)).unwrap_or_default();
        line.push(b'\n');
        Some((Ok::<_, Infallible>(Bytes::from(line)), inbox))
    });
    let kind = HeaderValue::from_static("application/x-ndjson");
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(body)).into_response()
}

/// A web page in the owner's browser cannot reach a unix socket; should a proxy ever carry one
/// here, its Origin gives it away. Programs send none.
async fn no_web_page(headers: HeaderMap, request: Request, next: Next) -> Response {
    if headers.contains_key(header::ORIGIN) {
        let seen = "the request carries an Origin header, as web pages send it";
        return Problem::new(ErrorCode::SocketDenied, seen).into_response();
    }
    next.run(request).await
}

async fn within_the_limit(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    match tokio::time::timeout(ANSWER_LIMIT, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => {
            let seen = format!("{path} took more than {} s", ANSWER_LIMIT.as_secs());
            Problem::new(ErrorCode::RequestTimeout, seen).into_response()
        }
    }
}

/// A body; an empty one means the defaults, if the type has them for every field.
struct Said<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Said<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|it| Problem::new(ErrorCode::TooLarge, it.body_text()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text)
            .map(Self)
            .map_err(|error| Problem::new(ErrorCode::BadRequest, error))
    }
}

/// A query.
struct Query<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Problem> {
        AxumQuery::from_request_parts(parts, state)
            .await
            .map(|AxumQuery(it)| Self(it))
            .map_err(|it: QueryRejection| Problem::new(ErrorCode::BadRequest, it.body_text()))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = http_status(&self);
        (status, Json(Document::of(self))).into_response()
    }
}

/// The HTTP status that fits; programs read `code`, this is for tools that know HTTP only.
fn http_status(problem: &Problem) -> StatusCode {
    if problem.is(ErrorCode::TooLarge) {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    let is = |code: ExitCode| problem.exit_code == code.number();
    if is(ExitCode::Usage) {
        StatusCode::BAD_REQUEST
    } else if is(ExitCode::NothingMatches) {
        StatusCode::NOT_FOUND
    } else if is(ExitCode::Permission) || is(ExitCode::Consent) || is(ExitCode::Refused) {
        StatusCode::FORBIDDEN
    } else if is(ExitCode::Conflict) {
        StatusCode::CONFLICT
    } else if is(ExitCode::Funds) {
        StatusCode::PAYMENT_REQUIRED
    } else if is(ExitCode::Timeout) {
        StatusCode::GATEWAY_TIMEOUT
    } else if is(ExitCode::NotReachable) || is(ExitCode::Degraded) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}
