use super::*;

fn shipped() -> Vec<Signature> {
    parse(include_str!("../../../../data/injectors.toml")).unwrap()
}

fn refused(fields: &str) -> String {
    let text =
        format!("[[injector]]\nid = 'x'\ndescription = 'd'\nsource = 's'\nweight = 1.0\n{fields}");
    parse(&text).unwrap_err().to_string()
}

#[test]
fn every_shipped_signature_has_a_source_and_tells_something_apart() {
    for one in shipped() {
        assert!(!one.source.is_empty(), "{}", one.id);
        assert!(
            one.flags.is_some() || one.burst.is_some() || one.ip_id.is_some(),
            "{} fits nearly everything",
            one.id
        );
    }
}

#[test]
fn what_honest_hosts_send_too_carries_no_weight() {
    for one in shipped() {
        let looks_honest = one.burst.is_none()
            && one.window == Some(Window::Zero)
            && one.ip_id != Some(IpId::NonZero);
        assert_eq!(one.weight == 0.0, looks_honest, "{}", one.id);
    }
}

#[test]
fn ids_are_unique() {
    let mut ids: Vec<String> = shipped().into_iter().map(|one| one.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn errors_name_file_entry_and_field() {
    for (fields, told) in [
        (
            "window = 'big'",
            "injectors.toml, x, window: \"big\" is none of zero, nonzero, copied",
        ),
        (
            "flags = 'RX'",
            "injectors.toml, x, flags: 'X' is none of R, A, P, F, U, S, N",
        ),
        (
            "ttl = 'odd'",
            "injectors.toml, x, ttl: \"odd\" is neither a value nor varies",
        ),
        (
            "burst = { count = 3, offsets = [0] }",
            "injectors.toml, x, burst: 1 offsets for 3 RSTs",
        ),
        (
            "burst = { count = 1 }",
            "injectors.toml, x, burst: a burst is of two RSTs at least",
        ),
    ] {
        assert_eq!(refused(fields), told);
    }
    for word in ["seq = 'near'", "ip_id = 'odd'", "options = 'some'"] {
        let told = refused(word);
        let (field, value) = word.split_once(" = ").unwrap();
        assert!(told.starts_with("injectors.toml, x: "), "{told}");
        assert!(told.contains(field), "{told}");
        assert!(told.contains(value.trim_matches('\'')), "{told}");
    }
    let unknown = refused("colour = 'red'");
    assert!(unknown.starts_with("injectors.toml, x: "), "{unknown}");
    assert!(unknown.contains("colour"), "{unknown}");
    let weight = parse("[[injector]]\nid = 'x'\ndescription = ''\nsource = ''\nweight = 9.0");
    assert!(
        weight
            .unwrap_err()
            .to_string()
            .starts_with("injectors.toml, x, weight: ")
    );
}
