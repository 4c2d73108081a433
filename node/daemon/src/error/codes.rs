//! The table of error codes: number, exit code, title, cause, remedy.

use super::ExitCode;

/// One row of the table: what `warren help CODE` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What it means, in one sentence without a full stop.
    pub title: &'static str,
    /// How one gets there.
    pub cause: &'static str,
    /// A command, or an act, that mends it.
    pub remedy: &'static str,
    /// With what the process ends.
    pub exit: ExitCode,
}

macro_rules! codes {
    ($($number:literal $name:ident $exit:ident: $title:literal, $cause:literal, $remedy:literal;)*) => {
        /// Every mishap that a user may meet. The numbers are for ever: none is used again, 1006, 2105, 5103 and
        /// 5110 neither, which nothing says any more.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            $(#[doc = $title] $name,)*
        }

        impl ErrorCode {
            /// All of them, by number.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The number after the W.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// Its row of the table.
            #[must_use]
            pub const fn explain(self) -> Explanation {
                match self {
                    $(Self::$name => Explanation {
                        title: $title, cause: $cause, remedy: $remedy, exit: ExitCode::$exit,
                    },)*
                }
            }
        }
    };
}

codes! {
    1001 ConfigUnreadable BadConfig: "the configuration file cannot be read",
        "The file that --config or WARREN_CONFIG names does not exist, or its permissions forbid reading.",
        "warren config validate";
    1002 ConfigSyntax BadConfig: "the configuration file is not TOML",
        "A line breaks the TOML grammar; file, line and column are in the message.",
        "warren config validate";
    1003 ConfigUnknownKey BadConfig: "the configuration has a key that Warren does not know",
        "A key in a file, a WARREN_SECTION__KEY variable or a flag is misspelt or from another version.",
        "warren config show";
    1004 ConfigBadValue BadConfig: "a configuration value does not fit its key",
        "The value has another type than the key, or lies outside its range.",
        "warren config explain KEY";
    1005 ConfigMissing BadConfig: "a configuration key that has no default is not set",
        "What was asked for needs a key that only you can know, such as chain.contract.",
        "warren config explain KEY";
    1101 HomeUnusable Permission: "the node's home folder cannot be used",
        "It does not exist and cannot be made, or it cannot be written by this user.",
        "warren --home DIR status";
    1102 SocketDenied Permission: "you may not talk to the daemon",
        "The daemon's socket lets in root (so sudo does), its own user, and the group warren: make it before the daemon begins, and log in again.",
        "sudo usermod -aG warren $USER";
    1103 DaemonNotReachable NotReachable: "no daemon answers",
        "Nothing listens on the socket: the daemon is not running, or runs with another home.",
        "warren daemon";
    1104 HomeLocked Conflict: "another process uses this home",
        "One home belongs to one daemon at a time; the message names the process that holds it.",
        "warren down --daemon, or start with another --home";
    1105 SocketBusy Conflict: "the API socket is already served",
        "Another daemon listens on the same socket path.",
        "warren status";
    1106 AnotherVersion Conflict: "program and daemon speak different versions of the API",
        "The daemon was started by another version of Warren than this command.",
        "restart the daemon";
    1107 AnswerTooLong Failed: "the daemon's answer is longer than this program reads",
        "More is on record than one answer may hold.",
        "ask for less: --limit, --since, or one by its id";
    1201 KeyLoose Permission: "a key file can be read by others",
        "Its mode lets its group or everybody read it; the key may be known already.",
        "chmod 600 the file, or make a new identity";
    1202 KeyBroken Failed: "a key file cannot be understood",
        "It was cut, edited, or is not a Warren key file.",
        "restore it from your backup";
    1203 KeyExists Conflict: "there is a key already",
        "Overwriting it would lose the identity, and money that only it can claim.",
        "move the old file away first";
    1204 WalletMissing Failed: "this node has no wallet",
        "Paying and being paid needs a wallet, and none was made yet.",
        "warren wallet new";
    1205 WalletLocked Permission: "the wallet's passphrase is missing or wrong",
        "wallet.passphrase_file is not set, cannot be read, or holds another passphrase.",
        "warren config explain wallet.passphrase_file";
    1206 WalletShared Conflict: "another machine pays with this wallet",
        "Neither machine knows what the other promised, so nothing more is signed on the channel that shows it, and no other is opened while it is not closed.",
        "give the other machine a wallet of its own, then close that channel: warren channel close CHANNEL";
    1207 WalletBusy Conflict: "another process uses this wallet file",
        "One wallet belongs to one daemon at a time; two would promise the same money twice.",
        "stop the other daemon, or make this one a wallet of its own: warren wallet new";
    1301 StoreOlder Failed: "the store is older than what this node already wrote",
        "A restored copy or a lost disk write rolled the store back; going on could pay twice or lose claims.",
        "restore the newest copy, or run: warren recover --store";
    1302 StoreBroken Failed: "the store does not verify",
        "Its chain of records is broken: bytes changed on disk, or a copy was taken while it ran.",
        "restore the newest copy, or run: warren recover --store";
    1303 StoreFailed Failed: "the store cannot read or write",
        "The disk or its file system refused; nothing that was not saved has been done.",
        "check the disk, then restart the daemon";
    1304 DiskLow Failed: "the disk is nearly full",
        "Below the floor no new liability is taken on; claims and closing still work.",
        "free disk space: df -h on the home folder";
    1305 StoreForeign Conflict: "the store belongs to another identity or format",
        "It was made by a newer version or with another node key.",
        "name the right folder: warren --home DIR status";
    1401 ConsentNeeded Consent: "sharing your line needs your consent",
        "Strangers would use your address; nothing is shared before you agree to the policy in words.",
        "warren exit enable";
    1402 ConsentOutdated Consent: "the consent is for another policy",
        "It carries more than the one that you agreed to, or was changed since; a narrower preset needs no new consent.",
        "warren exit enable";
    1403 StoreConsent Consent: "going on with a store that does not verify needs your consent",
        "What was written after it is lost to this node: words that others paid with cannot be claimed, and a channel may be paid from an old state; the chain and your peers know more than it does. A newer copy is better.",
        "warren recover --store --accept NODE, with the first 8 digits of the node's id";
    1404 BeneficiaryConsent Consent: "fixing a beneficiary needs your consent",
        "The tokens of this wallet in the contract could go to that account only, now and ever after; this wallet cannot undo it, and its pot opens no channels any more.",
        "warren wallet beneficiary ADDRESS --dry-run; then say the address twice: --yes-i-consent ADDRESS";
    1501 BadRequest Usage: "the request cannot be understood",
        "A field is missing, has another type, or lies outside its range.",
        "warren help, and the verb's name";
    1502 NotFound NothingMatches: "there is no such thing",
        "Nothing with that id or path exists in this node.",
        "warren status";
    1503 TooLarge Usage: "the request is too large",
        "The body of a request is limited to 64 KiB.",
        "send less";
    1504 RequestTimeout Timeout: "the daemon did not answer in time",
        "The request took longer than its limit; it may still be carried out.",
        "warren status";
    1505 ShuttingDown NotReachable: "the daemon is shutting down",
        "It closes sessions and takes no new requests.",
        "start it again: warren daemon";
    1506 Internal Failed: "a part of the node failed",
        "This is a fault in Warren, not in what you did.",
        "restart the daemon; report what its log says";
    1507 FileExists Conflict: "the file exists already",
        "What is written down is never written over something else.",
        "name another file, or move that one away";
    1508 FileUnusable Failed: "a file cannot be read or written",
        "It does not exist, or its permissions or its disk do not allow it.",
        "check the path and its permissions: ls -l";
    2101 NoTun Permission: "the tunnel device cannot be opened",
        "/dev/net/tun is missing, or the capability CAP_NET_ADMIN is.",
        "run the daemon as root, or: modprobe tun";
    2102 NoNft Permission: "the firewall or the resolvers cannot be changed",
        "nftables is missing from this kernel, or the capability CAP_NET_ADMIN is; or resolv.conf is root's, and the daemon is not root.",
        "run the daemon as root; apt-get install nftables";
    2103 HostChangeFailed Failed: "a change to this machine's network failed",
        "A route, rule, address or DNS setting was refused by the system; what was done before it was undone.",
        "warren recover";
    2104 LeftOvers Conflict: "an earlier run left its marks on this machine's network",
        "A daemon died before it could undo its changes; the undo journal has them.",
        "warren recover";
    2105 NoResolver Failed: "names are not asked through the tunnel",
        "The exit grants no resolver that its tunnel leads to, so programs go on asking this machine's own.",
        "warren config explain consumer.dns";
    2106 NoForwarding Failed: "this machine does not forward packets",
        "net.ipv4.ip_forward or net.ipv6.conf.all.forwarding is 0, so guests would reach nothing.",
        "sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1";
    2107 ForwardDropped Permission: "guests' packets are dropped by another firewall of this machine",
        "Docker and ufw set the policy of the chain FORWARD to DROP; what Warren accepts does not overrule that.",
        "iptables -I DOCKER-USER -i warren-exit -j ACCEPT; iptables -I DOCKER-USER -o warren-exit -j ACCEPT; without Docker: FORWARD";
    2108 NoUplink Failed: "no way to the internet was found",
        "There is no default route, or exit.uplink names a device that does not exist.",
        "ip route; warren config explain exit.uplink";
    2109 PortBusy Conflict: "a port is already in use",
        "Another program listens on the port that the configuration names.",
        "ss -lntup; then change the port";
    2110 OneRole Conflict: "this machine cannot lend its line and use a tunnel at the same time, nor use two",
        "Routes and the kill switch are for every packet of a machine: guests' packets would go into the tunnel too, or be blocked, and two tunnels would take each other's kill switch away.",
        "warren down, or warren exit disable; after a crash: warren recover";
    2111 FirewallMeddled Degraded: "another program takes Warren's rules away",
        "A firewall or network service that starts anew removes the tables, routing rules or resolvers of others too; Warren looks each second and makes its own again.",
        "find what does: nft monitor; ip monitor";
    2112 TunnelLost Failed: "the tunnel's device is gone",
        "Somebody deleted it, or a part of the tunnel died; it is made anew, and until then nothing passes.",
        "warren status; if it stays so, restart the daemon";
    2113 TunnelBare Degraded: "the tunnel does without something",
        "The system refused a part that makes it faster or easier to tell apart; it works all the same.",
        "run the daemon as root; sysctl net.core.wmem_max net.core.rmem_max";
    2114 InnerTaken Conflict: "this machine is itself where tunnels have their addresses",
        "Nothing from outside may reach a tunnel's address, so what comes for this machine would be dropped too.",
        "ip addr; for an exit another net: warren config explain exit.inner_v4";
    2115 EndsLogin Conflict: "the tunnel would end the login you are typing in",
        "Answers to whoever reaches this machine from outside would go into the tunnel, and so get lost.",
        "add the port to consumer.inbound_tcp, or the network by consumer.allow_lan = true, and restart the daemon; or warren up --end-ssh";
    3101 NoPeers Timeout: "no peer could be reached",
        "No bootstrap address answers: the network is down, blocked, or the addresses are old.",
        "warren net check";
    3102 BadBootstrap BadConfig: "a bootstrap address cannot be used",
        "It must be a multiaddress that ends with /p2p/ and the peer's id.",
        "warren config explain overlay.bootstrap";
    3103 ListenFailed Failed: "the overlay cannot listen",
        "The address is in use or does not belong to this machine.",
        "warren config explain overlay.listen";
    3104 NodeUnreachable Timeout: "the node cannot be reached",
        "Its addresses do not answer, or it left the network.",
        "warren exits";
    3105 OverlayFailed Failed: "the overlay stopped",
        "The part that talks to peers ended; the node cannot go on without it.",
        "restart the daemon";
    3106 ClockBehind Failed: "this node's clock is behind",
        "The offers of most peers are dated ahead of it; what others say is taken for forged, and offers for older than they are.",
        "set the clock, for instance: timedatectl set-ntp true";
    3107 ClockSetBack Degraded: "this machine's clock was set back while the daemon ran",
        "It was ahead when the daemon began or was set wrong since; the daemon's own time never goes back, so what it dates is ahead until it is restarted.",
        "restart the daemon";
    3108 ClockAhead Failed: "this node's clock is ahead",
        "Most peers tell of offers that are long over by it; offers are forgotten too early, and others take what this node dates for forged.",
        "set the clock, for instance: timedatectl set-ntp true; then restart the daemon";
    3109 WaysDisagree Degraded: "the ways by which offers are found disagree",
        "One of them, the DHT or gossip, knows no offer while the other knows many: it is broken, or the peers around this node show it only what they like (an eclipse).",
        "add bootstrap peers of others: warren config explain overlay.bootstrap; warren net stats";
    4101 NoOffer NothingMatches: "no exit matches",
        "No valid offer fits the country, price and policy asked for.",
        "warren exits";
    4102 ExitRefused Refused: "the exit refused the session",
        "It is full, draining, does not serve this node, or its price or policy changed since the offer.",
        "warren up without naming an exit";
    4103 NegotiationFailed Timeout: "the exit did not finish the negotiation",
        "It went silent, or its answers do not fit the offer that it signed.",
        "warren up with another exit";
    4104 HandshakeTimeout Timeout: "the tunnel's handshake did not complete",
        "UDP to the exit's endpoint is blocked, or the exit is not reachable there.",
        "warren net check, or another exit";
    4105 SessionLost Failed: "the session broke",
        "The exit or the way to it went away. With the kill switch your traffic stays blocked, not leaked; without it, it leaves in the clear.",
        "warren up; or warren down to go without a tunnel";
    4106 AlreadyUp Conflict: "a tunnel is up already",
        "One consumer session runs at a time.",
        "warren down";
    4107 NotUp Conflict: "no tunnel is up",
        "There is nothing to take down.",
        "warren up";
    4108 ExitOff Conflict: "this node is not an exit now",
        "The exit was not enabled, or was disabled.",
        "warren exit enable";
    4109 ExitCheckFailed Failed: "this machine cannot serve as an exit yet",
        "A check failed; each failed check names its remedy.",
        "warren exit check";
    4110 WrongExit Refused: "the exit is not the one that was agreed on",
        "Terms, key or policy differ from the signed offer.",
        "warren up with another exit";
    4111 ExitOn Conflict: "this node is an exit already",
        "Guests rely on its policy and price: these change with another start of it.",
        "warren exit disable; then warren exit enable";
    4112 ExitUnreached Degraded: "guests do not reach this exit",
        "Its last guests had a place in its tunnel and never shook hands: most likely exit.endpoint is another address or port than the router forwards to this machine by UDP, or a firewall drops it. The first handshake ends this warning.",
        "forward the UDP port of exit.endpoint to this machine's exit.listen_port; then warren exit status";
    4113 NoSuchGuest NothingMatches: "this exit has no such guest",
        "The session ended meanwhile, or the id is another node's.",
        "warren exit guests";
    5101 NoFunds Funds: "the wallet has too little",
        "The deposit, or the gas for its transaction, is more than the wallet holds.",
        "warren fund";
    5102 SpendingCap Funds: "the spending cap is reached",
        "All sessions of this up would cost more than consumer.max_spend or --max-spend.",
        "warren up --max-spend AMOUNT";
    5104 ChainUnreachable Timeout: "the chain cannot be reached",
        "chain.rpc_url does not answer, or its answers are too old to trust.",
        "warren config explain chain.rpc_url";
    5105 WrongChain BadConfig: "the chain is another one",
        "Chain id or contract code differ from what the configuration pins.",
        "warren config explain chain.contract";
    5106 ChannelUnusable Failed: "the channel cannot be used",
        "It is not confirmed yet, is closing, or its deposit is spent.",
        "warren channel ls";
    5107 PaymentRefused Refused: "the other side refused a payment",
        "It says the voucher or word does not fit the channel; nothing more was paid.",
        "warren channel show ID";
    5108 NothingToClaim NothingMatches: "there is nothing to claim",
        "No word is worth more than what was already claimed.",
        "warren earn";
    5109 TransactionFailed Failed: "a transaction failed",
        "The chain refused or reverted it; the amounts on chain are unchanged.",
        "warren channel show ID";
    5111 ChainNoQuorum Timeout: "too few of the chain's endpoints answer",
        "Money counts only if chain.quorum endpoints say the same; until then nothing new is promised or taken, and claims go on.",
        "warren status; or name more endpoints in chain.rpc_url";
    5112 ChainDisputed Failed: "the chain's endpoints contradict each other",
        "At least one of them lies, lags or is on a fork; none is believed, nothing new is promised or taken, and claims go on.",
        "warren status; take the one that is wrong out of chain.rpc_url";
    5113 RouterUnusable Failed: "the router cannot be used",
        "It does not route, is not reached, or there is no open channel to it; or its channel has too little left.",
        "warren channel open --router NODE; or warren up --route direct";
    5114 RouterLies Refused: "the router's terms are not its own",
        "What it says of itself is not signed by it, is of another time, or another node's.",
        "take another router: warren channel open --router NODE";
    5115 RouteTooDear Funds: "the route costs more than you allow",
        "The router's fee and hold fee come to more than consumer.max_route_fee_ppm.",
        "warren config explain consumer.max_route_fee_ppm; or warren up --route direct";
    5116 GasTooDear Refused: "gas costs more than you allow",
        "A block burns more for each gas than chain.fee_cap_gwei, or than what is to be claimed brings; nothing was sent.",
        "wait until gas is cheaper; or: warren config explain chain.fee_cap_gwei";
    5117 BeneficiaryFixed Conflict: "the chain lets these tokens go to their beneficiary only",
        "A beneficiary was fixed for the pot in the contract: only that account is paid from it, and only that account can pass this on.",
        "warren wallet payout";
    5118 NoBeneficiary NothingMatches: "no beneficiary is fixed",
        "The tokens in the contract may go wherever their owner's key says, so only the owner can take them out.",
        "warren withdraw; or: warren wallet beneficiary ADDRESS";
    5119 OneOpening Refused: "no second channel is opened by itself",
        "Each channel costs gas and binds its deposit for a while, and the exit that the first one is for did not serve.",
        "warren up, which may open one more; or: warren channel ls";
    5120 NoSecondRouter NothingMatches: "no second router was found",
        "A route over two routers was asked for; the second must be another node than the first and the exit, ask no hold fee, and fit consumer.max_route_fee_ppm.",
        "warren channel routers; or, over one router alone: warren up --routers 1";
    5201 ReceiptUnreadable Usage: "this is no receipt",
        "The file was cut, edited, or is something else; a receipt is the text that `warren receipt export` writes.",
        "warren receipt export SESSION FILE";
    5202 ReceiptUnsigned Refused: "nobody signed the receipt",
        "It has neither the consumer's nor the provider's signature, so nobody said it.",
        "ask the party that gave it to you to export it again";
    5203 ReceiptConsumer Refused: "the consumer's signature is not good",
        "What it says was changed after it was signed, or another key signed it.",
        "trust the provider's own copy only: warren receipt verify FILE";
    5204 ReceiptProvider Refused: "the provider's signature is not good",
        "What it says was changed after it was signed, or another key signed it.",
        "trust the consumer's own copy only: warren receipt verify FILE";
    5205 ReceiptHalf Degraded: "only one side signed the receipt",
        "The other side went away, or did not agree; what it proves is what the payer's voucher and words are worth, and what one side says; of a route, only that the words are known.",
        "ask the other side for its copy: warren receipt export SESSION FILE";
    5206 ReceiptVoucher Refused: "the receipt's voucher is not the payer's",
        "Its signature is not by the channel's payer, or it is of another channel: the amounts are unproven.",
        "compare the channel on the chain with the receipt: warren receipt show SESSION";
    5207 ReceiptWord Refused: "a word of the receipt does not open its lock",
        "Hashing it does not lead to the anchor of its lock: what it claims was never released.",
        "count the voucher's base and the other words only: warren receipt show SESSION";
    5208 ReceiptAmount Refused: "the receipt's amounts do not follow",
        "Voucher and words come to another sum than it says, or more was paid than could be due.",
        "recompute from voucher and words: warren receipt show SESSION";
    5209 ReceiptMeter Refused: "the receipt's meters and price do not fit",
        "A meter, at the price it names, comes to another number of words than it says.",
        "recompute from bytes and time: warren receipt show SESSION";
    5210 ReceiptTimes Refused: "the receipt ends before it begins",
        "Its times contradict each other, so it was not written by a working node.",
        "ask both sides for their copies";
    5211 ReceiptTerms Refused: "a side did not sign the receipt's terms",
        "A session that a route paid is one that both sides agreed to by signing its terms; here one signature is not its side's.",
        "ask both sides for their copies";
    5212 ReceiptTwice Refused: "the receipt counts words twice",
        "Two of its locks are one chain of words, whole or in part: what they have in common was paid once.",
        "count each chain of words once: warren receipt show SESSION";
    6101 BadScenario Usage: "the scenario cannot be understood",
        "A key or value of the scenario file does not fit; file and line are in the message.",
        "warren help swarm run; deploy/scenarios has examples";
    6102 AssertionFailed Failed: "an assertion of the scenario does not hold",
        "The run ended and a measured figure lies outside what the scenario demands.",
        "read summary.json in the folder that --out named";
}
