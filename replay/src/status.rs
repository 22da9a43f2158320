//! Where each read model stands, as a table or as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use projections::MODELS;
use serde_json::{Value, json};
use subscription::{Rebuild, Standing, State, reactor_standings, standings};

use crate::environment::Environment;
use crate::error::ReplayError;
use crate::table::Table;

/// Where each read model stands, and each reactor that has ever run.
pub async fn status(environment: &Environment) -> Result<Vec<Standing>, ReplayError> {
    let projections: Vec<_> = MODELS.iter().map(|model| model.projection()).collect();
    let projections: Vec<_> = projections.iter().map(|projection| &**projection).collect();
    let Environment {
        database,
        store,
        clock,
        ..
    } = environment;
    let mut all = standings(database, &**store, &**clock, &projections).await?;
    all.extend(reactor_standings(database, &**store, &**clock).await?);
    Ok(all)
}

/// Writes a table for people.
pub fn print(
    standings: &[Standing],
    rebuilds: &BTreeMap<String, Rebuild>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = Table::new([
        "MODEL",
        "POSITION",
        "BEHIND",
        "LAG",
        "STATE",
        "LEASE",
        "LAST SIGN",
        "PARKED",
    ]);
    for it in standings {
        table.row([
            format!("{} v{}", it.model, it.version),
            it.checkpoint.to_string(),
            it.behind.to_string(),
            format!("{:.1} s", it.lag.as_secs_f64()),
            state(&it.state).to_owned(),
            it.lease
                .as_ref()
                .map_or_else(|| "nobody".to_owned(), |lease| lease.node.clone()),
            it.silent_for.map_or_else(
                || "never".to_owned(),
                |silent| format!("{} s ago", silent.as_secs()),
            ),
            it.parked.to_string(),
        ]);
    }
    table.write(out)?;
    for (model, it) in rebuilds {
        let (
            Rebuild {
                operator,
                position,
                goal,
                events,
                rate,
                ..
            },
            percent,
        ) = (it, it.ratio() * 100.0);
        let how = if it.paused {
            "paused".to_owned()
        } else {
            format!("{rate} events/s, {} s left", it.left.as_secs())
        };
        writeln!(
            out,
            "\n{model} is being rebuilt by {operator}: {percent:.0} % (position {position} of {goal}, {events} events), {how}"
        )?;
    }
    for it in standings {
        if let State::Stopped { position, error } = &it.state {
            writeln!(
                out,
                "\n{} is stopped at position {position}: {error}",
                it.model
            )?;
        }
    }
    Ok(())
}

/// The same as JSON.
pub fn json(standings: &[Standing], rebuilds: &BTreeMap<String, Rebuild>) -> Value {
    standings
        .iter()
        .map(|it| one(it, rebuilds.get(&*it.model)))
        .collect()
}

fn one(it: &Standing, rebuild: Option<&Rebuild>) -> Value {
    let stopped = match &it.state {
        State::Stopped { position, error } => json!({ "position": position, "error": error }),
        State::New | State::Running => Value::Null,
    };
    json!({
        "model": it.model,
        "version": it.version,
        "position": it.checkpoint,
        "behind": it.behind.events,
        "behindOrMore": it.behind.or_more,
        "lagSeconds": it.lag.as_secs_f64(),
        "state": state(&it.state),
        "stopped": stopped,
        "lease": it.lease.as_ref().map(|lease| json!({ "node": lease.node, "backend": lease.backend })),
        "silentForSeconds": it.silent_for.map(|silent| silent.as_secs_f64()),
        "parked": it.parked,
        "rebuild": rebuild.map(|it| json!({
            "operator": it.operator,
            "paused": it.paused,
            "position": it.position,
            "goal": it.goal,
            "events": it.events,
            "eventsPerSecond": it.rate,
            "secondsLeft": it.left.as_secs(),
        })),
    })
}

const fn state(state: &State) -> &'static str {
    match state {
        State::New => "new",
        State::Running => "running",
        State::Stopped { .. } => "stopped",
    }
}
