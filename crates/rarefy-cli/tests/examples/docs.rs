//! Every command that README and `docs/` show in a block runs, in their order, in a folder that holds small files of the names they
//! use. It is made short (an epoch, few rounds) and stands in for data that a test cannot have.

use std::path::Path;
use std::process::Command;

use super::data::{image, recording};

/// What is run in place of a word of a command.
const STAND_INS: &[(&str, &str)] =
    &[("cifar-10-batches-bin", "digits"), ("fashion-mnist", "digits"), ("new.npz", "digits")];

/// What makes commands that begin so short; a flag that the command has already is replaced.
const SHORT: &[(&str, &[(&str, &str)])] = &[
    ("train", &[("--epochs", "1"), ("--batch-size", "16"), ("--no-twin", "")]),
    ("path --hidden", &[("--lambdas", "3"), ("--epochs", "1")]),
    ("path --network", &[("--lambdas", "3"), ("--epochs", "1")]),
    ("path", &[("--lambdas", "3")]),
    ("predict --generate", &[("--tokens", "5")]),
    ("bench kernels", &[("--sizes", "64"), ("--densities", "0.1"), ("--threads", "1"), ("--rounds", "1")]),
    ("bench network", &[("--rounds", "1")]),
    ("bench step", &[("--layers", "64,64,10"), ("--seconds", "0.01")]),
];

/// The commands in the blocks of a page: lines that begin with the program's name, up to a redirection, or a comment after two blanks.
fn commands(page: &str) -> Vec<Vec<String>> {
    let blocks = page.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(str::lines).map(str::trim).filter(|line| line.starts_with("rarefy "));
    let words = |line: &str| {
        let line = line.split("  ").next().unwrap();
        let line = line.split(['>', '|']).next().unwrap();
        // What stands in quotes is one word.
        let parts = line.split('\'').enumerate();
        let words = parts.flat_map(|(at, part)| match at % 2 {
            1 => vec![part.to_string()],
            _ => part.split_whitespace().map(String::from).collect(),
        });
        words.skip(1).collect()
    };
    lines.map(words).collect()
}

/// The command as it is run here.
fn shortened(command: &[String]) -> Vec<String> {
    let stand_in = |word: &String| {
        STAND_INS.iter().find(|(name, _)| name == word).map_or(word.clone(), |(_, other)| other.to_string())
    };
    let mut words: Vec<String> = command.iter().map(stand_in).collect();
    let has = |words: &[String], word: &str| words.iter().any(|other| other == word);
    // Only printing is short, and what goes on keeps its settings.
    let is_short = ["--print-config", "--resume"].iter().any(|flag| has(&words, flag));
    let begins = |begin: &str| begin.split(' ').all(|word| has(&words, word));
    let found =
        SHORT.iter().find(|(begin, _)| begins(begin) && !is_short).map_or(&[][..], |(_, flags)| *flags);
    for &(flag, value) in found {
        if let Some(at) = words.iter().position(|word| word == flag) {
            words.drain(at..at + 2);
        }
        words.extend([flag, value].map(String::from).into_iter().filter(|word| !word.is_empty()));
    }
    words
}

fn write_files(folder: &Path, root: &Path, pages: &[String]) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let house = |i: usize| format!("{},{},{},{}\n", 40 + i, i % 6 + 1, (40 + i) * 2000, 300 + 7 * i);
    write("table.csv", &format!("size,rooms,price,rent\n{}", lines(80, &house)));
    write("new.csv", &format!("size,rooms,price,rent\n{}", lines(20, &house)));
    for (name, count) in [("prices.csv", 80), ("prices-test.csv", 20)] {
        let home = |i: usize| format!("{},{},{}\n", 900 - 7 * i, 40 + i, (40 + i) * 2000);
        write(name, &format!("id,size,price\n{}", lines(count, &home)));
    }
    for (name, count) in [("payments.csv", 80), ("payments-test.csv", 20)] {
        let payment =
            |i: usize| format!("{i},2023-01-{:02} 1{}:30,{},{}\n", 1 + i % 28, i % 9, 10 + i, i % 3 / 2);
        write(name, &format!("id,paid_at,amount,fraud\n{}", lines(count, &payment)));
    }
    let card =
        |i: usize| format!("{},{},{}\n", i * 7 % 60, i % 24, if i * 7 % 60 > 44 { "fraud" } else { "ok" });
    write("cards.csv", &format!("amount,hour,class\n{}", lines(80, &card)));
    let words = [["cup", "goal", "match"], ["rain", "sun", "wind"]];
    let text = |i: usize| format!("the {} and the {}", words[i % 2][i % 3], words[i % 2][(i + 1) % 3]);
    let news = |i: usize| format!("{}\t{}\n", ["sport", "weather"][i % 2], text(i));
    write("news.tsv", &format!("topic\tbody\n{}", lines(60, &news)));
    write("20newsgroups-train.tsv", &format!("label\ttext\n{}", lines(60, &news)));
    write("20newsgroups-test.tsv", &format!("label\ttext\n{}", lines(12, &news)));
    write("speeches.txt", &"My fellow citizens, we go to the moon and do the other things. ".repeat(60));
    for i in 0..24 {
        image(&folder.join(format!("photos/{}/{i}.png", ["cat", "dog"][i % 2])), 10 * i as u8);
    }
    // Recordings of digits, and of two digits each.
    let part = |i: u32| ["train", "train", "val", "test"][i as usize / 4 % 4];
    let mut digits = "path,label,split\n../recordings/7_theo_3.wav,7,train\n".to_string();
    let mut sequences = "path,label,split\n".to_string();
    recording(&folder.join("recordings/7_theo_3.wav"), 700.0, 2400);
    recording(&folder.join("sequences/test-0000.wav"), 700.0, 4800);
    for i in 0..32 {
        recording(&folder.join(format!("recordings/{i}.wav")), f64::from(300 + 100 * (i % 2)), 2400);
        recording(&folder.join(format!("sequences/{i}.wav")), f64::from(300 + 100 * (i % 2)), 4800);
        digits += &format!("../recordings/{i}.wav,{},{}\n", 7 + i % 2, part(i));
        sequences += &format!("{i}.wav,{},{}\n", if i % 2 == 0 { "12" } else { "21" }, part(i));
    }
    std::fs::create_dir(folder.join("lists")).unwrap();
    write("lists/official.csv", &digits);
    write("sequences/sequences.csv", &sequences);
    // The files that pages show: blocks whose first line is a comment with their name.
    for block in pages.iter().flat_map(|page| page.split("```toml\n# ").skip(1)) {
        let block = block.split("```").next().unwrap();
        let name = block.split([',', '\n']).next().unwrap();
        if name.ends_with(".toml") {
            write(name, &format!("# {block}"));
        }
    }
    std::fs::create_dir(folder.join("examples")).unwrap();
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join("examples").join(entry.file_name())).unwrap();
    }
}

#[test]
fn each_command_in_the_docs_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = vec![root.join("README.md")];
    paths.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    paths[1..].sort();
    let pages: Vec<String> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), &root, &pages);
    let (mut runs, mut problems) = (0, Vec::new());
    for (path, page) in paths.iter().zip(&pages) {
        for command in commands(page) {
            let words = shortened(&command);
            let mut program = Command::new(env!("CARGO_BIN_EXE_rarefy"));
            let output = program.current_dir(folder.path()).args(&words).output().unwrap();
            runs += 1;
            if !output.status.success() {
                let error = String::from_utf8_lossy(&output.stderr).into_owned();
                problems.push(format!("{}: {command:?}, run as {words:?}: {error}", path.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(runs > 40, "{runs}: are the blocks still found?");
}
