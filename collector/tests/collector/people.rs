//! People, and the audit of who made them.

use parallax_collector::store::{Entry, Role};

use crate::server::store;

fn act(what: &str) -> Entry {
    Entry::done("local:root".to_owned(), None, what, "joe".to_owned())
}

#[tokio::test]
async fn what_is_done_is_in_the_audit_and_what_is_not_done_is_not() {
    let store = store().await;
    let removed = store.remove_person("joe", &act("remove a person")).await;
    assert!(!removed.unwrap());
    assert!(store.audit(None, 10).await.unwrap().is_empty());

    let add = act("add a person");
    store
        .set_person("joe", Role::Viewer, &[7; 32], &add)
        .await
        .unwrap();
    // Postgres's text holds no zero octet: what fails is not said to be done.
    let failed = store.set_person("j\0m", Role::Admin, &[8; 32], &add).await;
    assert!(failed.is_err());
    let removed = store.remove_person("joe", &act("remove a person")).await;
    assert!(removed.unwrap());
    let audit = store.audit(None, 10).await.unwrap();
    let acts: Vec<&str> = audit.iter().map(|row| row.5.as_str()).collect();
    assert_eq!(acts, ["remove a person", "add a person"]);
}
