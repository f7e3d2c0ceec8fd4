//! Lines for people keep to the width of their place, and tables say which columns they leave out.

use unicode_width::UnicodeWidthStr;

use super::*;

/// What a command prints in so many columns, run in a folder.
fn printed(folder: &Path, columns: usize, arguments: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rarefy"));
    program.current_dir(folder).env("COLUMNS", columns.to_string()).env("LANG", "C.UTF-8");
    let output = program.args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).to_string()
}

#[test]
fn lines_fit_60_80_and_200_columns() {
    let folder = tempfile::tempdir().unwrap();
    let sweep = "[base]\ndata.path = \"digits\"\ntrain.epochs = 1\nnetwork.hidden = [8]\n\
                 [sweep]\ntopology.method = [\"static\", \"rigl\"]\nsparsity.density = [0.2, 0.1]\nseed = [0, 1, 2]\n";
    std::fs::write(folder.path().join("sweep.toml"), sweep).unwrap();
    std::fs::write(folder.path().join("table.csv"), {
        let line = |i: usize| format!("{},{},{}\n", 40 + i, i % 6 + 1, (40 + i) * 2000);
        "size of the house in square metres,number of rooms,price\n".to_string()
            + &(0..80).map(line).collect::<String>()
    })
    .unwrap();
    for columns in [60, 80, 200] {
        let run = format!("runs/{columns}");
        let commands: [&[&str]; 12] = [
            &["train", "digits", "--hidden", "8,8", "--epochs", "2", "--run-dir", &run],
            &["train", "--resume", &run, "--no-twin"],
            &["evaluate", &run],
            &["evaluate", &run, "digits"],
            &["inspect", &run],
            &["inspect", "--network", "vgg-small", "--data", "digits"],
            // The first one trains; the others show.
            &["compare", "sweep.toml"],
            &["compare", "sweep.toml", "--dry-run"],
            &["path", "digits", "--hidden", "8", "--lambdas", "3", "--epochs", "1"],
            &["path", "table.csv", "--label", "price", "--lambdas", "5"],
            &["data", "table.csv", "--label", "price"],
            &["doctor"],
        ];
        for arguments in commands {
            let text = printed(folder.path(), columns, arguments);
            for line in text.lines() {
                // A path or a name cannot be broken.
                let is_one_word = line.split_whitespace().count() == 1;
                assert!(
                    line.width() <= columns || is_one_word,
                    "{columns}: {arguments:?}: {line}\nin\n{text}"
                );
            }
            assert!(columns < 200 || !text.contains("no room for"), "{arguments:?}: {text}");
        }
        let text = printed(folder.path(), columns, &["inspect", &run]);
        let expected = match columns {
            60 => "(no room for: bytes, stored, dead out, dead in",
            80 => "(no room for: bytes",
            _ => "dead out",
        };
        assert!(text.contains(expected), "{columns}: {text}");
    }
}
