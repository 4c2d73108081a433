//! Every path answers what the node says, and refuses in the same words everywhere.

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use warren_daemon::api::types::*;
use warren_daemon::api::{Client, ClientError};
use warren_proto::{ByteCount, PayoutAddress};

use crate::desk::{CHANNEL, EXIT, NODE, SESSION, consumer, money, serve, socket};
use crate::door::raw;
use crate::facts::ENTRIES;

#[tokio::test]
async fn every_question_of_the_client_reaches_the_node() {
    let served = serve();
    let client = &served.client;
    let status = client.status().await.unwrap();
    assert_eq!((status.node, status.consumer), (NODE, Some(consumer())));
    let query = ExitsQuery {
        country: Some("DE".parse().unwrap()),
        policy: Some("web+dns".to_owned()),
        refresh: true,
        sort: ExitSort::Price,
        ..ExitsQuery::default()
    };
    assert_eq!(client.exits(&query).await.unwrap().known, 7);
    let asked = ExitQuery {
        exit: "02020202 +&".to_owned(),
    };
    let shown = client.exit_shown(&asked).await.unwrap();
    assert_eq!(shown.left_out[0].by, LeftOutBy::TooDear);
    let down = client
        .down(&DownRequest { keep_blocked: true })
        .await
        .unwrap();
    assert!(
        down.still_blocked && down.used.up_bytes == ByteCount::default() && down.session == SESSION
    );
    assert_eq!(
        client.exit_check().await.unwrap().checks[1].code.as_deref(),
        Some("W2107")
    );
    let terms = client
        .exit_terms(&ExitTermsQuery {
            policy: Some("all".to_owned()),
            price_per_gib: Some("0.5".to_owned()),
            price_per_minute: None,
        })
        .await
        .unwrap();
    let phrase = Some(terms.phrase);
    let request = ExitEnableRequest {
        phrase,
        ..ExitEnableRequest::default()
    };
    assert!(client.exit_enable(&request).await.unwrap().enabled);
    client.exit_disable().await.unwrap();
    client.exit_status().await.unwrap();
    assert_eq!(client.exit_guests().await.unwrap().allowed, [EXIT]);
    let guest = "02020202".to_owned();
    let kicked = client.exit_kick(&KickRequest { guest }).await.unwrap();
    assert_eq!((kicked.session, kicked.node), (SESSION, EXIT));
    assert_eq!(client.wallet().await.unwrap().in_channels, money(4));
    let to = PayoutAddress::from_bytes([8; 20]);
    client
        .withdraw(&WithdrawRequest {
            to: Some(to),
            amount: "all".to_owned(),
            dry_run: true,
        })
        .await
        .unwrap();
    let fixed = BeneficiaryRequest {
        to,
        owner: None,
        confirm: Some(to),
        dry_run: false,
    };
    client.fix_beneficiary(&fixed).await.unwrap();
    let payout = PayoutRequest {
        owner: Some(to),
        dry_run: true,
    };
    client.pay_out(&payout).await.unwrap();
    let claims = client.claim_all().await.unwrap().claims;
    let mishap = claims[0].problem.as_ref().unwrap();
    assert_eq!(
        (claims[0].channel, mishap.code.as_str()),
        (CHANNEL, "W5116")
    );
    client.channels().await.unwrap();
    assert_eq!(client.claim(CHANNEL).await.unwrap().channel, Some(CHANNEL));
    let open = ChannelOpenRequest {
        payee: "0202".to_owned(),
        deposit: Some("0.5".to_owned()),
        close_window_secs: None,
        router: false,
    };
    assert_eq!(client.open(&open).await.unwrap().channel, Some(CHANNEL));
    let more = ChannelTopUpRequest {
        amount: "0.25".to_owned(),
    };
    client.top_up(CHANNEL, &more).await.unwrap();
    let close = ChannelCloseRequest { now: true };
    client.close(CHANNEL, &close).await.unwrap();
    assert_eq!(client.earn().await.unwrap().sessions, 4);
    let since = Some("2026-11-22T18:00:00Z".parse().unwrap());
    client
        .ledger(&LedgerQuery {
            since,
            limit: Some(5),
            before: None,
        })
        .await
        .unwrap();
    assert_eq!(client.receipts().await.unwrap().receipts, vec![]);
    let missing = client.receipt(SESSION).await.unwrap_err().problem();
    assert_eq!(missing.code, "W1502");
    assert!(missing.seen.contains(&SESSION.to_string()));
    assert_eq!(client.towers().await.unwrap().wanted, 2);
    assert_eq!(client.routers().await.unwrap().routers, []);
    assert_eq!(client.routes().await.unwrap().router, None);
    client.peers().await.unwrap();
    client.net_check().await.unwrap();
    let stats = client.net_stats().await.unwrap();
    assert_eq!((stats.ways.both, stats.counted["offer.refused"]), (4, 6));
    assert_eq!(client.shutdown().await.unwrap().sessions_closing, 1);
    assert!(
        client
            .metrics()
            .await
            .unwrap()
            .contains("\nwarren_claims_total 31\n")
    );

    let asked = served.desk.asked.lock().unwrap().join("\n");
    for part in [
        "Some(DE)",
        "Some(\"web+dns\")",
        "sort: Price, refresh: true",
        "limit: Some(5)",
        "amount: \"all\", dry_run: true",
        "confirm: Some(",
        "PayoutRequest { owner: Some(",
        "deposit: Some(\"0.5\")",
        "0.25",
        "now true",
        "exit 02020202 +&",
    ] {
        assert!(asked.contains(part), "{part} is not in {asked}");
    }
    assert!(asked.contains(&format!("claim {CHANNEL}")));
}

#[tokio::test]
async fn an_answer_names_its_schema_and_writes_money_times_and_ids_in_full() {
    let served = serve();
    let answer = raw(
        served.folder.path(),
        "GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    for part in [
        "\"schema\":\"warren.status/v1\"",
        &format!("\"node\":\"{NODE}\""),
        "\"due\":{\"value\":\"0.000000000000000007\",\"unit\":\"WRN\",\"base_units\":\"7\"}",
        "\"started\":\"2026-11-22T18:00:00.000Z\"",
        "\"state\":\"active\"",
    ] {
        assert!(answer.contains(part), "{part} is not in {answer}");
    }
}

#[tokio::test]
async fn a_ledger_that_no_answer_holds_comes_whole() {
    let served = serve();
    let client = &served.client;
    let numbers = |it: Ledger| it.entries.iter().map(|it| it.number).collect::<Vec<_>>();
    let whole = client.whole_ledger(&LedgerQuery::default()).await.unwrap();
    assert_eq!(numbers(whole), (0..ENTRIES).collect::<Vec<_>>());
    let newest = LedgerQuery {
        limit: Some(10_500),
        ..LedgerQuery::default()
    };
    let newest = client.whole_ledger(&newest).await.unwrap();
    assert_eq!(
        numbers(newest),
        (ENTRIES - 10_500..ENTRIES).collect::<Vec<_>>()
    );
    let one = client.ledger(&LedgerQuery::default()).await.unwrap();
    assert_eq!(numbers(one), (ENTRIES - 1000..ENTRIES).collect::<Vec<_>>());
    // As any program may ask: no answer is so long that none reads it.
    let all = LedgerQuery {
        limit: Some(u32::MAX),
        ..LedgerQuery::default()
    };
    let most = client.ledger(&all).await.unwrap();
    assert_eq!(numbers(most).len(), 10_000);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_told_from_another_version() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(socket(folder.path())).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = 17 << 20;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Whoever has read enough hangs up.
        let _ = stream.write_all(&vec![b'x'; length]).await;
    });
    let client = Client::new(&socket(folder.path()));
    let error = client.receipts().await.unwrap_err();
    assert_eq!(error.problem().code, "W1107", "{error}");
}

#[tokio::test]
async fn what_the_node_refuses_arrives_with_its_code_and_its_exit_code() {
    let served = serve();
    let error = served
        .client
        .exit_enable(&ExitEnableRequest::default())
        .await
        .unwrap_err();
    let ClientError::Refused(problem) = error else {
        panic!("{error}")
    };
    assert_eq!((problem.code.as_str(), problem.exit_code), ("W1401", 11));
    let request = UpRequest {
        max_spend: Some("0".to_owned()),
        ..UpRequest::default()
    };
    let error = served.client.up(&request).await.unwrap_err();
    assert_eq!(error.problem().exit_code, 7);
}

#[tokio::test]
async fn what_is_not_understood_is_refused_with_the_reason() {
    let served = serve();
    let ask = |head: &str, body: &str| {
        let length = body.len();
        let text = format!(
            "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let folder = served.folder.path().to_owned();
        async move { raw(&folder, &text).await }
    };
    let unknown_path = ask("GET /v1/nothing", "").await;
    assert!(
        unknown_path.starts_with("HTTP/1.1 404") && unknown_path.contains("W1502"),
        "{unknown_path}"
    );
    let wrong_method = ask("GET /v1/down", "").await;
    assert!(wrong_method.contains("W1502"), "{wrong_method}");
    let unknown_field = ask("POST /v1/up", "{\"max_spent\":\"1\"}").await;
    assert!(
        unknown_field.starts_with("HTTP/1.1 400") && unknown_field.contains("max_spent"),
        "{unknown_field}"
    );
    let unknown_query = ask("GET /v1/exits?contry=DE", "").await;
    assert!(
        unknown_query.starts_with("HTTP/1.1 400") && unknown_query.contains("W1501"),
        "{unknown_query}"
    );
    let bad_id = ask("POST /v1/channels/0xabcd/claim", "").await;
    assert!(bad_id.contains("is not a channel id"), "{bad_id}");
    let too_large = ask("POST /v1/up", &" ".repeat(65 * 1024)).await;
    assert!(
        too_large.starts_with("HTTP/1.1 413") && too_large.contains("W1503"),
        "{too_large}"
    );
    assert!(
        served.desk.asked.lock().unwrap().is_empty(),
        "nothing of this reached the node"
    );
}

#[tokio::test]
async fn nobody_home_is_said_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(&socket(folder.path()));
    let problem = client.status().await.unwrap_err().problem();
    assert_eq!((problem.code.as_str(), problem.exit_code), ("W1103", 3));
}
