# Single measurements (an array) to the table of tunnel.sh ($out table) or its figures ($out figures).

def median: sort | if length == 0 then null else (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2 end;
def short: if . == null then "–" elif . >= 1000 then (. | round | tostring) else ((. * 100 | round) / 100 | tostring) end;
def spread: if length == 0 then "–" else "\(median | short) [\(min | short)–\(max | short)]" end;
def pad($n): . + (" " * ([$n - length, 1] | max));

# Rounds beside other programs are left out, unless there are no others.
. as $records
| [.[] | select(.test == "strangers" and .share > 0.05) | "\(.wire) \(.round)"] as $disturbed
| def is_quiet: "\(.wire) \(.round)" as $round | $disturbed | index([$round]) == null;
  [.[] | select(.test != "strangers")] as $measured
| [$measured[] | .wire as $wire | select(is_quiet or ([$measured[] | select(.wire == $wire) | is_quiet] | any | not))] as $all
| ["up1", "down1", "up4", "down4"] as $flows
| def values($wire; $of; $tests; f): [$all[] | select(.wire == $wire and .of == $of and (.test as $t | $tests | index([$t])) != null) | f | select(. != null)];
  # Of each measurement of $a its quotient by the same test of $b in the same round.
  def paired($wire; $a; $b; $tests; f):
    ([$all[] | select(.wire == $wire and .of == $b) | {key: "\(.round) \(.test)", value: f}] | from_entries) as $base
    | [$all[] | select(.wire == $wire and .of == $a and (.test as $t | $tests | index([$t])) != null)
        | {mine: f, theirs: $base["\(.round) \(.test)"]} | select(.mine != null and .theirs != null and .theirs > 0) | .mine / .theirs];
  def rounds($wire): [$records[] | select(.wire == $wire) | .round] | unique | length;
  def disturbed($wire): [$disturbed[] | select(startswith($wire + " "))] | unique | length;
  def said($wire): "\($wire): \(rounds($wire)) rounds, \(disturbed($wire)) of them beside other programs";
  def candidates($wire): [$all[] | select(.wire == $wire) | .of] | unique | sort_by(. != "warren");
  def figure($name; $unit; $values): if ($values | length) == 0 then empty else
    {key: $name, value: {value: ($values | median | . * 10000 | round / 10000), min: ($values | min), max: ($values | max), unit: $unit, n: ($values | length), how: $how}} end;
  def column($wire; $of; $tests; f): values($wire; $of; $tests; f) | spread;
  def table_of($wire):
    "\(said($wire)); medians [least–most]",
    (["", "up 1 Gbit/s", "down 1", "up 4", "down 4", "CPU-s/GB client", "exit", "64 B pkt/s", "taken", "idle ms", "4 flows p50 ms", "p99 ms", "MB after, client", "exit"],
     (candidates($wire)[] | . as $of | [$of]
        + [$flows[] as $t | column($wire; $of; [$t]; .gbit)]
        + [column($wire; $of; $flows; .cpu_client), column($wire; $of; $flows; .cpu_exit), column($wire; $of; ["small"]; .pps), column($wire; $of; ["small"]; .taken)]
        + [column($wire; $of; ["idle"]; .p50), column($wire; $of; ["up4", "down4"]; .p50), column($wire; $of; ["up4", "down4"]; .p99)]
        + [column($wire; $of; ["after"]; .rss_client_kb / 1024), column($wire; $of; ["after"]; .rss_exit_kb / 1024)])
     | "| " + join(" | ") + " |"),
    (candidates($wire)[] | select(. != "warren") | . as $of
      | "warren / \($of), paired: goodput \(paired($wire; "warren"; $of; $flows; .gbit) | spread); exit CPU-s/GB \(paired($wire; "warren"; $of; $flows; .cpu_exit) | spread)"
        + "; client CPU-s/GB \(paired($wire; "warren"; $of; $flows; .cpu_client) | spread); 64 B \(paired($wire; "warren"; $of; ["small"]; .pps) | spread), taken \(paired($wire; "warren"; $of; ["small"]; .taken) | spread)"
        + "; each of \($flows | map(. as $t | "\($t) \(paired($wire; "warren"; $of; [$t]; .gbit) | median | short)") | join(", "))");
  def of_wire($wire; $twin):
    (candidates($wire)[] | select(. != "warren") | . as $of | (gsub("[^a-z0-9]"; "_")) as $name
      | figure("goodput_vs_\($name)\($twin)"; "ratio"; paired($wire; "warren"; $of; $flows; .gbit)),
        figure("exit_cpu_per_gb_vs_\($name)\($twin)"; "ratio"; paired($wire; "warren"; $of; $flows; .cpu_exit)),
        figure("client_cpu_per_gb_vs_\($name)\($twin)"; "ratio"; paired($wire; "warren"; $of; $flows; .cpu_client)),
        figure("pps64_vs_\($name)\($twin)"; "ratio"; paired($wire; "warren"; $of; ["small"]; .pps)),
        figure("pps64_taken_vs_\($name)\($twin)"; "ratio"; paired($wire; "warren"; $of; ["small"]; .taken))),
    figure("goodput_gbit\($twin)"; "Gbit/s"; values($wire; "warren"; $flows; .gbit)),
    figure("exit_cpu_s_per_gb\($twin)"; "s/GB"; values($wire; "warren"; $flows; .cpu_exit)),
    figure("client_cpu_s_per_gb\($twin)"; "s/GB"; values($wire; "warren"; $flows; .cpu_client)),
    figure("pps64\($twin)"; "1/s"; values($wire; "warren"; ["small"]; .pps)),
    figure("pps64_taken\($twin)"; "1/s"; values($wire; "warren"; ["small"]; .taken)),
    figure("rtt_idle_p50_ms\($twin)"; "ms"; values($wire; "warren"; ["idle"]; .p50)),
    figure("rtt_loaded_p50_ms\($twin)"; "ms"; values($wire; "warren"; ["up4", "down4"]; .p50)),
    figure("rtt_loaded_p99_ms\($twin)"; "ms"; values($wire; "warren"; ["up4", "down4"]; .p99)),
    figure("exit_memory_mb\($twin)"; "MiB"; values($wire; "warren"; ["after"]; .rss_exit_kb / 1024)),
    figure("exit_memory_more_mb\($twin)"; "MiB";
      ([$all[] | select(.wire == $wire and .of == "warren" and .test == "idle") | {key: "\(.round)", value: .rss_exit_kb}] | from_entries) as $idle
      | [$all[] | select(.wire == $wire and .of == "warren" and .test == "after") | (.rss_exit_kb - $idle["\(.round)"]) / 1024]);
  def switch($what): [$all[] | select(.wire == "switches") | .test] | unique as $t
    | def of(f): paired("switches"; "\($what)-on"; "\($what)-off"; $t; f);
      {what: $what, exit: of(.cpu_exit), client: of(.cpu_client)};
  def switches: switch("payment", "policy");
  # What of the exit's processor time goes to taking words, by its own threads' clocks.
  def payers: [$all[] | select(.wire == "switches" and .of == "payment-on") | .payers / .cpu_exit];
  # What of it goes to metering: the time a packet of 1420 bytes is metered, of the time it is carried.
  def meters: [$all[] | select(.wire == "micro" and .test == "meter") | .ns] as $ns
    | if $ns == [] then [] else [values("veth"; "warren"; $flows; .cpu_exit)[] | ($ns | median) / (. * 1420)] end;
  def ways: ["up", "down"];
  # Crowds that were measured: guests "x" flows of each.
  def sizes: split("x") | map(tonumber);
  def crowds($part): [$all[] | select(.wire == $part) | .of | select(. != "")] | unique | sort_by(sizes);
  # What one crowd moved in all, of what another did in the same round.
  def crowd($part; $of; $base): paired($part; $of; $base; ways; .gbit);
  # One guest of as many flows as a crowd of several has.
  def same_flows: sizes | select(.[0] > 1) | "1x\(.[0] * .[1])";
  if $out == "table" then
    (["veth", "nic"][] | select(candidates(.) != []) | table_of(.), ""),
    (["switches", "far", "guests", "bare"][] | select(rounds(.) > 0) | said(.)),
    (switches | select(.exit != []) | "\(.what) on / off: exit CPU-s/GB \(.exit | spread), client \(.client | spread)"),
    (payers | select(. != []) | "of the exit's CPU, taking words: \(map(. * 100) | spread) %"),
    (["far", "far-fixed"][] | . as $of | paired("far"; $of; "unpaid"; ["up4", "down4"]; .gbit) | select(. != []) | "\($of), words 100 ms late / unpaid: goodput \(spread)"),
    (["guests", "bare"][] as $part | crowds($part)[] as $of
      | "\($part), guests x flows \($of): \(column($part; $of; ways; .gbit)) Gbit/s, Jain up \(column($part; $of; ["up"]; .jain)), down \(column($part; $of; ["down"]; .jain)), least share \(column($part; $of; ways; .least_share)), exit CPU-s/GB \(column($part; $of; ways; .cpu_exit)), sum / one flow's \(crowd($part; $of; "1x1") | spread)"
        + ([$of | same_flows | ", / one guest of as many flows \(crowd($part; $of; .) | spread)"] | add // ""))
  else
    {schema: "warren.figures/v1", figures: ([
      (["veth", ""], ["nic", "_nic"] | . as [$wire, $twin] | of_wire($wire; $twin)),
      (switches | figure("\(.what)_exit_cpu_per_gb_on_off"; "ratio"; .exit), figure("\(.what)_client_cpu_per_gb_on_off"; "ratio"; .client)),
      figure("payment_exit_cpu_share"; "share"; payers), figure("metering_exit_cpu_share"; "share"; meters),
      (["far", "far-fixed"][] | . as $of | figure("paid_vs_unpaid_\(gsub("-"; "_"))"; "ratio"; paired("far"; $of; "unpaid"; ["up4", "down4"]; .gbit))),
      (["guests", "bare"][] as $part | crowds($part)[] as $of | ($of | same_flows) as $same | ($of | sizes[0]) as $many
        | figure("\($part)_\($many)_vs_one"; "ratio"; crowd($part; $of; "1x1")),
          figure("\($part)_\($many)_vs_one_of_as_many_flows"; "ratio"; crowd($part; $of; $same)),
          figure("\($part)_\($many)_jain"; "index"; values($part; $of; ways; .jain))),
      ($all[] | select(.wire == "micro") | figure("micro_\(.test)_ns"; "ns"; [.ns]))
    ] | from_entries)}
  end
