//! `cargo xtask bench throughput`: sessions per second.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::chart::{self, Panel};
use super::floor::Floor;
use super::jobs::Job;
use super::rivals::{self, Rival};
use super::rounds::Rounds;
use super::sample::Sample;
use super::server::{Server, Setup};
use super::table::{Table, number};
use super::{Bench, signals};

const CLIENTS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const FORKS: &str = "floor: two processes that fork+exit+wait, static C";

fn ours(clients: usize) -> String {
    format!("ours: hello, clients: {clients}")
}

fn pair(rival: &Rival) -> String {
    format!("{}, two at once", rival.name)
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let time = Duration::from_millis(bench.options.pick(1200, 200));
    let server = Setup::default().start()?;
    server.compiled("greet")?;
    let job = Job::hello("warm");
    job.settle(&server)?;
    let rivals = rivals::of_hello(bench.dir.path(), &server)?;
    let (server, job) = (&server, &job);
    let mut rounds = Rounds::new(bench);
    let start = || Floor::start(&bench.floors.fixed, &["loop"]);
    let mut forkers = [start()?, start()?];
    rounds.add(FORKS, move || {
        for forker in &mut forkers {
            forker.tell(&time.as_millis().to_string())?;
        }
        let mut count = 0.0;
        for forker in &mut forkers {
            count += forker.hear()?.trim().parse::<f64>()?;
        }
        Ok(Sample::from(count / time.as_secs_f64()))
    });
    for clients in CLIENTS {
        rounds.add(ours(clients), move || {
            let client = |until| job.repeat(server, until);
            rate(clients, time, &client)
        });
    }
    for rival in rivals.iter().filter(|rival| rival.missing.is_none()) {
        rounds.add(pair(rival), || {
            let jobs = |until| {
                let mut count = 0;
                while Instant::now() < until {
                    rival.job()?;
                    count += 1;
                }
                Ok(count)
            };
            rate(2, time, &jobs)
        });
    }
    let measured = rounds.run()?;

    println!("## Throughput\n\n{}", measured.note());
    println!(
        "{} ms each. Clients are threads that call one session after the other, each over a connection of its own, and \
         share the machine with the server; history included. No pauses.\n",
        time.as_millis()
    );
    let floor = measured.series(FORKS);
    let best = CLIENTS.map(|clients| measured.series(&ours(clients)));
    let best = best.iter().max_by(|a, b| a.p50().total_cmp(&b.p50())).cloned().unwrap_or_default();
    let mut table = Table::new(&["what", "a second", "it / floor", "our best / it"]);
    let names = CLIENTS.into_iter().map(ours).chain(rivals.iter().map(pair));
    for name in std::iter::once(FORKS.to_owned()).chain(names) {
        if let Some(why) =
            rivals.iter().find(|rival| pair(rival) == name).and_then(|rival| rival.missing.clone())
        {
            table.row([name, why]);
            continue;
        }
        let series = measured.series(&name);
        table.row([
            name,
            number(series.p50()),
            series.over(&floor).to_string(),
            best.over(&series).to_string(),
        ]);
    }
    println!("{table}");
    memory(server)?;

    let flat = |value: f64| vec![value; CLIENTS.len()];
    let mut lines = vec![
        ("ours: sessions".to_owned(), CLIENTS.map(|clients| measured.series(&ours(clients)).p50()).to_vec()),
        ("floor: forks of two processes".to_owned(), flat(floor.p50())),
    ];
    for rival in rivals.iter().filter(|rival| rival.missing.is_none()) {
        lines.push((pair(rival), flat(measured.series(&pair(rival)).p50())));
    }
    let panel = Panel::Lines {
        title: "Sessions, forks and jobs a second".to_owned(),
        steps: CLIENTS.map(|clients| clients.to_string()).to_vec(),
        below: "clients",
        lines,
    };
    chart::draw(&bench.options.out.join("throughput.svg"), &[panel])
}

fn memory(server: &Server) -> Result<()> {
    let stats = server.call("stats", &serde_json::json!({}))?;
    println!(
        "Behind it: server {} kB resident, zygote {} kB.\n",
        stats["server_rss_kb"], stats["zygote_rss_kb"]
    );
    Ok(())
}

/// What so many threads do in this time, together and in a second.
fn rate(threads: usize, time: Duration, work: &(impl Fn(Instant) -> Result<u64> + Sync)) -> Result<Sample> {
    signals::check()?;
    let begin = Instant::now();
    let until = begin + time;
    let count = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(until))).collect();
        let mut count = 0;
        for one in all {
            count += one
                .join()
                .map_err(|_| anyhow!("a client panicked"))
                .and_then(|done| done.context("a client"))?;
        }
        anyhow::Ok(count)
    })?;
    Ok(Sample::from(count as f64 / begin.elapsed().as_secs_f64()))
}
