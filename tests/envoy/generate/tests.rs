//! What the generator promises, without an Envoy.

use super::super::cases::translated;
use super::*;

#[test]
fn a_seed_is_a_batch() {
    let draw = |seed| batch(&mut Dice::new(seed), &mut Counts::default());
    let [one, same, other] = [1, 1, 2].map(draw);
    assert_eq!(one.yaml(), same.yaml());
    assert_ne!(one.yaml(), other.yaml());
    let texts = |batch: &Batch| {
        batch
            .requests
            .iter()
            .map(|it| it.1.text("m"))
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&one), texts(&same));
    assert!(one.requests.len() >= TABLES * REQUESTS);
}

#[test]
fn every_table_is_taken_and_translated_and_no_field_is_left_out() {
    let (mut dice, mut counts) = (Dice::new(7), Counts::default());
    for _ in 0..12 {
        let batch = batch(&mut dice, &mut counts);
        let whole = Table {
            number: 0,
            documents: Vec::new(),
            twin_of: None,
        };
        assert!(is_valid(&batch.client, &whole));
        for table in &batch.tables {
            check(&batch.client, table).unwrap_or_else(|error| panic!("{error}\n{}", table.yaml()));
        }
        let translation = translated("drawn", &batch.yaml(), &batch.client);
        let hosts = translation.routes["virtual_hosts"].as_array().unwrap();
        // Tables whose matches are all meant for other clients are left out.
        assert!(hosts.len() > TABLES / 2, "{}", hosts.len());
        let twins = batch.tables.iter().filter(|it| it.twin_of.is_some());
        assert!(twins.count() > TABLES * 3 / 4);
    }
    assert_eq!(counts.missing(false), Vec::<&str>::new());
}
