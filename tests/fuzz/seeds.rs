//! Where the corpora begin: real things, from which the fuzzer goes on.
//!
//! `cargo nextest run --workspace --test fuzz --run-ignored only` writes them anew.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use serde_json::json;
use warren_payments::chain::dev::{DevChain, DevGenesis};
use warren_payments::chain::eth::EthNode as _;
use warren_payments::channel::{ChannelTerms, PayeeChannel, PayerChannel, Rules};
use warren_payments::ledger::{Entry, Posting};
use warren_payments::tower::{Appointment, Closing, Due};
use warren_payments::tx::{Job, JobId, SignedTx, TxEffect, TxEvent, TxManager, TxRules};
use warren_proto::{
    Amount, ChannelId, ChannelParams, NodeId, PayoutAddress, SessionFrame, TowerClaim,
    TowerDeadline, TxHash, UnixTime,
};

use crate::heads::{ContentSum, Head};
use crate::receipts;
use crate::targets::{pair, router, script};

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/golden");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |it: u8| u8::try_from(char::from(it).to_digit(16).unwrap()).unwrap();
    digits
        .chunks_exact(2)
        .map(|it| digit(it[0]) * 16 + digit(it[1]))
        .collect()
}

#[test]
#[ignore = "writes the corpora anew"]
fn seeds() {
    words();
    records();
    answers();
    tunnel();
    super_packets();
    for number in 0..12 {
        let mut bytes = vec![0; 400];
        ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut bytes);
        for target in [
            "schedules",
            "roads",
            "payer",
            "payee",
            "router",
            "tower",
            "transactions",
        ] {
            write(target, &format!("seed{number}"), &bytes);
        }
    }
}

fn words() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/tests/golden");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        match name.strip_suffix(".hex") {
            Some("signed_offer") => write("offer", "golden", &golden(&name)),
            Some("signed_router_hint") => write("offer", "hint", &golden(&name)),
            Some(kind @ ("receipt" | "receipt_routed")) => {
                let bytes = golden(&name);
                let Ok(SessionFrame::Receipt(receipt)) = SessionFrame::decode(&bytes) else {
                    panic!("the golden receipt is one");
                };
                let text = receipts::to_text(&receipt);
                write("receipt", &format!("{kind}-file"), text.as_bytes());
                write("receipt", &format!("{kind}-bytes"), &receipt.encode());
                write("frame", kind, &bytes);
            }
            Some(frame) => write("frame", frame, &golden(&name)),
            None => {}
        }
    }
    let Ok(SessionFrame::Grant(grant)) = SessionFrame::decode(&golden("grant.hex")) else {
        panic!("the golden grant is one");
    };
    write("terms", "golden", &grant.terms.encode());
}

fn records() {
    let chain = DevChain::new(&DevGenesis::default());
    let params = ChannelParams {
        payer: PayoutAddress::from_bytes([1; 20]),
        payee: PayoutAddress::from_bytes([2; 20]),
        period_secs: 3600,
        salt: 3,
    };
    let terms = ChannelTerms::new(params, chain.pins());
    let payer = PayerChannel::open(terms, 1, Amount::from_wei_u64(500), 64).next;
    let payee = PayeeChannel::watch(terms, Rules::default());
    let posting = Posting::claimed(ChannelId::from_bytes([4; 32]), Amount::from_wei_u64(5));
    let entry = Entry {
        number: 1,
        at: UnixTime::from_secs(2),
        posting: posting.by(TxHash::from_bytes([6; 32])),
    };
    let record = |kind: u8, bytes: Vec<u8>| [vec![kind], bytes].concat();
    write("records", "payer", &record(0, payer.encode()));
    write("records", "payee", &record(1, payee.encode()));
    write("records", "entry", &record(2, entry.encode()));
    write("records", "transaction", &record(3, transaction()));
    write(
        "records",
        "route",
        &record(4, router::admitted().unwrap().encode()),
    );
    write("records", "put", &record(5, appointment().encode()));
    let closing = Closing {
        channel: ChannelId::from_bytes([4; 32]),
        closes_at: 7,
    };
    write("records", "closing", &record(6, closing.encode()));
    let claim = TowerClaim {
        params: script::terms().params,
        voucher: script::signed(1, Amount::from_wei_u64(3), Vec::new())
            .get()
            .clone(),
        best: Vec::new(),
    };
    write("records", "claim", &record(7, claim.encode()));
    let owner = NodeId::from_bytes([9; 32]);
    let head = Head::first(owner).next([5; 32], ContentSum::default());
    write("heads", "second", &head.encode());
}

/// What a tower keeps of a payee.
fn appointment() -> Appointment {
    let channel = ChannelId::from_bytes([4; 32]);
    Appointment {
        number: 1,
        until: 2,
        sealed: vec![3; 40],
        deadline: Some(TowerDeadline { channel, act_at: 5 }),
        due: Some(Due {
            channel,
            claim_at: 6,
        }),
        spent: false,
    }
}

/// The record of a transaction on its way, by the way it gets there.
fn transaction() -> Vec<u8> {
    let account = PayoutAddress::from_bytes([1; 20]);
    let empty = TxManager::new(TxRules {
        chain_id: 1,
        confirmations: 6,
        bump_after_blocks: 3,
        fee_cap: Amount::MAX,
        urgent: Duration::ZERO,
    });
    let id = JobId([7; 32]);
    let job = Job {
        id,
        to: account,
        value: Amount::ZERO,
        data: vec![8; 68],
        stake: None,
    };
    let fee = Amount::from_wei_u64(9);
    let fees = warren_payments::chain::Fees {
        base_fee: fee,
        floor: fee,
        tip: fee,
    };
    let asked = empty.handle(&TxEvent::Asked(job)).next;
    let step = asked.handle(&TxEvent::Prepared {
        id,
        gas_limit: 90_000,
        fees,
        nonce: 0,
        time: None,
    });
    let Some(TxEffect::Sign(unsigned)) = step.effects.first().cloned() else {
        panic!("a prepared call is signed");
    };
    let signed = SignedTx {
        raw: vec![10; 120],
        hash: TxHash::from_bytes([11; 32]),
    };
    let flying = step.next.handle(&TxEvent::Signed { unsigned, signed }).next;
    empty.puts(&flying, account)[0].value.clone().unwrap()
}

fn answers() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let chain = DevChain::new(&DevGenesis::default());
        let to = PayoutAddress::from_bytes([5; 20]);
        chain
            .fund(to, Amount::from_wei_u64(7), Amount::from_wei_u64(8))
            .unwrap();
        let block = chain
            .ask("eth_getBlockByNumber", json!(["latest", true]))
            .await
            .unwrap();
        let hash = block["transactions"][0]["hash"].clone();
        let owner = format!("0x{}", "05".repeat(20));
        for (method, params) in [
            ("eth_getBlockByNumber", json!(["latest", false])),
            ("eth_getTransactionReceipt", json!([hash])),
            ("eth_feeHistory", json!(["0x1", "latest", []])),
            ("eth_getTransactionCount", json!([owner, "latest"])),
            ("eth_getBalance", json!([owner, "latest"])),
            ("eth_chainId", json!([])),
        ] {
            let answer = chain.ask(method, params).await.unwrap();
            write("answers", method, answer.to_string().as_bytes());
        }
    });
    for (name, bytes) in [
        (
            "string",
            [
                hex4("08c379a0"),
                vec![0; 31],
                vec![32],
                vec![0; 31],
                vec![2],
                vec![104; 32],
            ]
            .concat(),
        ),
        ("panic", [hex4("4e487b71"), vec![0; 31], vec![17]].concat()),
        ("nothing", vec![]),
    ] {
        write("reverts", name, &bytes);
    }
}

fn hex4(text: &str) -> Vec<u8> {
    u32::from_str_radix(text, 16)
        .unwrap()
        .to_be_bytes()
        .to_vec()
}

fn tunnel() {
    let pair = pair::Pair::connected();
    for (name, packet) in [("up", pair::to_server(40)), ("down", pair::to_guest(300))] {
        write("packets", name, &packet);
        let sealed = [pair.up(&packet), pair.down(&packet)].concat();
        write("datagrams", name, sealed.first().unwrap());
    }
}

/// Reads of a device, and lists of packets as the model reads them.
fn super_packets() {
    for (kind, name) in [(1_u8, "tcp4"), (4, "tcp6")] {
        let v4 = kind == 1;
        let (ip, protocol) = if v4 { (20_u8, 9) } else { (40, 6) };
        let mut read = vec![0, 1, kind];
        for field in [u16::from(ip) + 20, 100, ip.into(), 16] {
            read.extend(field.to_ne_bytes());
        }
        let mut packet = vec![0; usize::from(ip) + 20 + 250];
        packet[0] = if v4 { 0x45 } else { 0x60 };
        packet[protocol] = 6;
        packet[usize::from(ip) + 12..][..2].copy_from_slice(&[0x50, 0x99]);
        write("super_packets", name, &[read, packet].concat());
    }
    for flow in 0..6 {
        let mut list = vec![1];
        list.extend([flow, 6, 0, 0, 0, 0].repeat(20));
        for odd in 0..11 {
            list.extend([flow, 3, 0, odd % 8, odd, 1]);
            list.extend([flow, 3, 0, 0, 0, 1]);
        }
        write("super_packets", &format!("flow{flow}"), &list);
    }
}
