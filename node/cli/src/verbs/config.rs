//! `warren config …`: what this node was told, by whom, and whether it fits; needs no daemon.

use serde_json::{Value, json};
use warren_daemon::config::{AsSaid, Explained, Origin, Place, Setting};

use super::{Desk, Told, daemon};
use crate::args::ConfigVerb;
use crate::node;
use crate::page::Page;
use crate::table::Table;

pub(super) fn run(desk: &Desk<'_>, verb: &ConfigVerb) -> Told {
    match verb {
        ConfigVerb::Show => {
            let said = node::as_said(desk.globals)?;
            let json = json!({
                "schema": "warren.config/v1",
                "settings": said.settings().iter().map(setting_json).collect::<Vec<_>>(),
            });
            let page = with_fault(json, said.clone(), |json| show_page(json, said.settings()));
            Ok(page.next("warren config explain KEY"))
        }
        ConfigVerb::Explain { key } => {
            let said = node::as_said(desk.globals)?;
            let it = said.explain(key).map_err(|it| it.problem())?;
            Ok(with_fault(explain_json(&it), said, |json| {
                explain_page(json, &it)
            }))
        }
        ConfigVerb::Validate => {
            let config = desk.config()?;
            daemon::filter(&config.node.log)?;
            warren_daemon::check(&config)?;
            Ok(valid_page(config.settings()))
        }
    }
}

/// What was asked for comes first; that the rest does not fit is told below, for it is what is being mended.
fn with_fault(mut json: Value, said: AsSaid, page: impl FnOnce(Value) -> Page) -> Page {
    let Err(fault) = said.fits() else {
        return page(json);
    };
    let problem = fault.problem();
    json["fault"] = json!({
        "code": problem.code, "seen": problem.seen, "next": problem.next,
    });
    let line = format!("The configuration does not fit: {}", problem.seen);
    page(json).line(line).next("warren config validate")
}

fn show_page(json: Value, settings: &[Setting]) -> Page {
    let mut table = Table::new(&["KEY", "VALUE", "SAID BY"]);
    for it in settings {
        table.row([it.key.name.to_owned(), it.shown(), it.place.to_string()]);
    }
    let said = said(settings);
    let sentence = format!("{} keys, {said} of them set by you.", settings.len());
    Page::raw(json, sentence).table(&table)
}

fn explain_json(it: &Explained) -> Value {
    let setting = &it.setting;
    let mut json = setting_json(setting);
    json["schema"] = json!("warren.config-key/v1");
    json["variable"] = json!(it.variable);
    json["default"] = json!(setting.key.default);
    json["meaning"] = json!(setting.key.meaning);
    json
}

fn explain_page(json: Value, it: &Explained) -> Page {
    let setting = &it.setting;
    let mut table = Table::new(&[]);
    table.row(["is", shown(&setting.shown())]);
    table.row(["said by", &setting.place.to_string()]);
    table.row(["default", shown(setting.key.default)]);
    table.row(["variable", &it.variable]);
    let flag = format!("warren daemon --set {}=VALUE", setting.key.name);
    table.row(["flag", &flag]);
    let sentence = format!("{}: {}", setting.key.name, setting.key.meaning);
    Page::raw(json, sentence).table(&table)
}

fn valid_page(settings: &[Setting]) -> Page {
    let said = said(settings);
    let json = json!({ "schema": "warren.config-valid/v1", "valid": true, "set": said });
    Page::raw(
        json,
        format!("The configuration fits: {said} keys are set."),
    )
    .next("warren daemon")
}

fn said(settings: &[Setting]) -> usize {
    let by_somebody = |it: &&Setting| it.origin != Origin::Default;
    settings.iter().filter(by_somebody).count()
}

fn shown(value: &str) -> &str {
    if value.is_empty() { "not set" } else { value }
}

fn setting_json(it: &Setting) -> Value {
    let place = match &it.place {
        Place::Nowhere => Value::Null,
        Place::File { .. } | Place::Env { .. } | Place::Flag { .. } => json!(it.place.to_string()),
    };
    json!({ "key": it.key.name, "value": it.shown(), "said_by": place })
}
