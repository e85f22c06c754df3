//! The files that people deploy with: manifests, the compose file, images. Each is read as what runs it reads it; each
//! command line in it is read by its program's own parser (`--help` at its end is answered only if all before it is
//! right), images are those that the Dockerfile makes, and rights are those that docs/SECURITY.md tells.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize as _;
use serde_yaml_ng::{Deserializer, Value};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifests() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root().join("deploy/kubernetes")).expect("the manifests") {
        let name = entry.expect("an entry").file_name();
        let name = format!("deploy/kubernetes/{}", name.to_string_lossy());
        for document in Deserializer::from_str(&read(&name)) {
            let value =
                Value::deserialize(document).unwrap_or_else(|error| panic!("{name}: {error}"));
            all.push((name.clone(), value));
        }
    }
    all
}

fn compose() -> Value {
    let mut compose: Value = serde_yaml_ng::from_str(&read("docker-compose.yml")).expect("YAML");
    // What is merged in merges, too.
    for _ in 0..3 {
        compose.apply_merge().expect("merge keys");
    }
    compose
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_sequence().into_iter().flatten();
    items
        .map(|item| item.as_str().expect("a text").to_owned())
        .collect()
}

/// A program's own parser takes these arguments.
fn takes(program: &str, arguments: &[String]) {
    let bin = Path::new(env!("CARGO_BIN_EXE_parallax-lab"));
    let output = Command::new(bin.with_file_name(program))
        .args(arguments)
        .arg("--help")
        .env_clear()
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The images that the Dockerfile makes, with their entry points.
fn images() -> Vec<(String, Option<String>)> {
    let text = read("docker/Dockerfile");
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    for line in text.lines() {
        if let Some((_, name)) = line
            .strip_prefix("FROM ")
            .and_then(|from| from.split_once(" AS "))
        {
            found.push((name.to_owned(), None));
        }
        if let Some(entry) = line.strip_prefix("ENTRYPOINT [\"/usr/bin/") {
            found.last_mut().expect("a stage").1 = Some(entry.trim_end_matches("\"]").to_owned());
        }
    }
    found
}

/// The program that an image runs.
fn program(image: &str) -> Option<String> {
    let version = env!("CARGO_PKG_VERSION");
    let name = image
        .strip_prefix("parallax-")
        .and_then(|image| image.strip_suffix(&format!(":{version}")))
        .unwrap_or_else(|| panic!("{image} is no image of ours, or not of version {version}"));
    let mut images = images().into_iter();
    let found = images.find(|(stage, _)| stage == name);
    found
        .unwrap_or_else(|| panic!("the Dockerfile makes no {name}"))
        .1
}

fn probes(command: &Value) {
    let command = texts(command);
    let command = command
        .strip_prefix(&["CMD".to_owned()][..])
        .unwrap_or(&command);
    let program = command[0].trim_start_matches("/usr/bin/");
    if program.starts_with("parallax") {
        takes(program, &command[1..]);
    }
}

#[test]
fn every_manifest_names_what_is_there_and_its_programs_take_their_arguments() {
    let all = manifests();
    let mut containers = 0;
    let secrets: Vec<&str> = all
        .iter()
        .filter(|(_, value)| value["kind"] == "Secret")
        .filter_map(|(_, value)| value["metadata"]["name"].as_str())
        .collect();
    for (file, value) in &all {
        for field in ["apiVersion", "kind"] {
            assert!(value[field].is_string(), "{file}: no {field}");
        }
        if value["kind"] != "Namespace" {
            assert_eq!(value["metadata"]["namespace"], "parallax", "{file}");
        }
        let pod = &value["spec"]["template"];
        let Some(list) = pod["spec"]["containers"].as_sequence() else {
            continue;
        };
        assert_eq!(
            value["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"],
            "{file}"
        );
        for container in list {
            containers += 1;
            let program =
                program(container["image"].as_str().expect("an image")).expect("an entry point");
            takes(&program, &texts(&container["args"]));
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                if container[probe]["exec"].is_mapping() {
                    probes(&container[probe]["exec"]["command"]);
                }
            }
            let mounted: Vec<&str> = container["volumeMounts"]
                .as_sequence()
                .into_iter()
                .flatten()
                .filter_map(|mount| mount["name"].as_str())
                .collect();
            for volume in pod["spec"]["volumes"].as_sequence().into_iter().flatten() {
                assert!(
                    mounted.contains(&volume["name"].as_str().unwrap()),
                    "{file}"
                );
                if let Some(secret) = volume["secret"]["secretName"].as_str() {
                    assert!(secrets.contains(&secret), "{file}: no secret {secret}");
                }
            }
        }
    }
    assert_eq!(containers, 2);
}

#[test]
fn rights_in_the_manifests_are_those_that_the_documentation_tells() {
    let security = read("docs/SECURITY.md");
    assert!(
        security.contains("| agent | root, `NET_RAW` alone |")
            && security.contains("| collector | user 65532, none |"),
        "docs/SECURITY.md tells other rights"
    );
    for (file, value) in manifests() {
        for container in value["spec"]["template"]["spec"]["containers"]
            .as_sequence()
            .into_iter()
            .flatten()
        {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{file}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{file}");
            assert_eq!(texts(&context["capabilities"]["drop"]), ["ALL"], "{file}");
            let added = texts(&context["capabilities"]["add"]);
            match container["name"].as_str() {
                Some("agent") => assert_eq!(added, ["NET_RAW"]),
                _ => assert!(added.is_empty(), "{file}"),
            }
            assert!(
                container["resources"]["limits"]["memory"].is_string(),
                "{file}"
            );
        }
    }
}

#[test]
fn the_compose_file_gives_few_rights_and_its_programs_take_their_arguments() {
    let compose = compose();
    let services = compose["services"].as_mapping().expect("services");
    for (name, service) in services {
        let name = name.as_str().expect("a name");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(
            texts(&service["security_opt"]),
            ["no-new-privileges:true"],
            "{name}"
        );
        let image = service["image"].as_str().expect("an image");
        if service["healthcheck"].is_mapping() {
            probes(&service["healthcheck"]["test"]);
        }
        if !image.starts_with("parallax") {
            continue;
        }
        let target = service["build"]["target"].as_str().expect("a target");
        assert!(image.starts_with(&format!("parallax-{target}:")), "{name}");
        match program(image) {
            Some(program) => takes(&program, &texts(&service["command"])),
            None => assert_eq!(
                texts(&service["cap_add"]),
                ["NET_ADMIN", "NET_RAW"],
                "{name}"
            ),
        }
    }
    assert_eq!(services.len(), 5);
}

#[test]
fn commands_in_the_dockerfile_and_the_lab_machine_are_taken() {
    let mut count = 0;
    let mut image = None;
    let text = read("docker/Dockerfile");
    for line in text.lines() {
        if let Some(list) = line.split_once("CMD [").map(|(_, list)| format!("[{list}")) {
            let words: Vec<String> = serde_json::from_str(&list).expect("a list of words");
            let first = words[0].trim_start_matches("/usr/bin/");
            match first.starts_with("parallax") {
                true if words[1..] == ["probe"] => {
                    takes(first, &["probe".into(), "--metrics=127.0.0.1:1".into()]);
                }
                true => takes(first, &words[1..]),
                // Of the entry point.
                false => takes(image.as_deref().expect("an entry point"), &words),
            }
            count += 1;
        }
        if let Some(entry) = line.strip_prefix("ENTRYPOINT [\"/usr/bin/") {
            image = Some(entry.trim_end_matches("\"]").to_owned());
        }
    }
    assert_eq!(count, 4);
    let lab = read("docker/lab-machine").replace("\\\n", "");
    let run = lab
        .lines()
        .find(|line| line.contains("parallax-agent run"))
        .expect("a run");
    let words = run.trim().trim_end_matches('&').split_whitespace().skip(1);
    let words = words.filter(|word| {
        !word.contains("$2")
            && !word.contains("{3")
            && !word.contains("$3")
            && *word != "\"$near\")\""
    });
    let filled = words.map(|word| match word.trim_matches('"') {
        "$(interface" => "eth0".to_owned(),
        "127.0.0.1:$metrics" => "127.0.0.1:7690".to_owned(),
        "$collector" => "http://collector:7600".to_owned(),
        word => word.replace("$1", "fw-in"),
    });
    takes("parallax-agent", &filled.collect::<Vec<_>>());
}

/// Kubernetes' own types read the manifests and lose nothing of them: a field that is misspelt would be gone.
#[test]
fn kubectl_reads_the_manifests_and_loses_nothing() {
    for (file, value) in manifests() {
        let kind = value["kind"].as_str().expect("a kind");
        if !["Deployment", "DaemonSet"].contains(&kind) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("one.yaml");
        std::fs::write(&path, serde_yaml_ng::to_string(&value).unwrap()).unwrap();
        let output = Command::new("kubectl")
            .args(["set", "env", "--local", "-o", "yaml", "-f"])
            .arg(&path)
            .arg("PARALLAX_TEST=1")
            .output()
            .expect("kubectl (Debian: kubernetes-client)");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{file}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let typed: Value = serde_yaml_ng::from_str(&said).expect("YAML");
        kept(&file, &value, &typed);
    }
}

/// Everything of `ours` is in `typed`.
fn kept(at: &str, ours: &Value, typed: &Value) {
    match (ours, typed) {
        (Value::Mapping(ours), Value::Mapping(typed)) => {
            for (key, value) in ours {
                let place = format!("{at}.{}", key.as_str().unwrap_or("?"));
                let there = typed
                    .get(key)
                    .unwrap_or_else(|| panic!("{place} is no field"));
                kept(&place, value, there);
            }
        }
        (Value::Sequence(ours), Value::Sequence(typed)) => {
            for (index, value) in ours.iter().enumerate() {
                kept(&format!("{at}[{index}]"), value, &typed[index]);
            }
        }
        _ => {}
    }
}
