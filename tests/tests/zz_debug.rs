use parallax_tests::simulation::{self, plan::Plan};
#[test]
fn one() {
    let seed: u64 = std::env::var("SEED").unwrap().parse().unwrap();
    println!("{:#?}", Plan::of(seed, None));
    let folder = simulation::folder().unwrap();
    for _ in 0..3 {
        let o = simulation::play(seed, None, folder.path()).unwrap();
        println!(
            "{:?}\n{:?}",
            o.violations,
            (o.report.runs, o.report.connections, o.report.losses)
        );
    }
}
