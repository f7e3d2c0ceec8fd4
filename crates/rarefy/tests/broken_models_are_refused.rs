//! A model's files are checked before anything is computed or allocated by what they say: each array against the network, the
//! network against the data, and the description against itself.

use std::path::Path;

use rarefy::train::{Control, Model, Run, Settings};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

/// An array of a file.
struct Array {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Array {
    /// Takes all but the first numbers off.
    fn cut(&mut self, length: usize) {
        self.shape = vec![length];
        self.data.truncate(4 * length);
    }
}

fn train(toml: &str, folder: &Path) {
    let mut settings: Settings = toml::from_str(toml).unwrap();
    (settings.train.epochs, settings.threads) = (1, 1);
    Run::start(settings, Some(folder)).unwrap().train(&mut |_| Control::Continue).unwrap();
    Model::open(folder).unwrap_or_else(|error| panic!("{toml}: {error}"));
}

fn refused(folder: &Path) -> String {
    match Model::open(folder) {
        Ok(_) => "it was opened".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a row for each fault")]
fn arrays_are_those_of_the_network_and_finite() {
    let folder = tempfile::tempdir().unwrap();
    let plain = "hidden = [8]";
    let kinds = "layers = [{layer = 'conv1d', filters = 8, kernel = 3, groups = 2}, {layer = 'lstm', hidden = 12}, \
                 {layer = 'last-step'}, {layer = 'linear'}]\n[data]\nshape = [1, 8, 8]";
    let folders = [(plain, 0.3, 1), (plain, 1.0, 1), (plain, 0.3, 4), (kinds, 0.3, 4)];
    let folders = folders.map(|(network, density, block)| {
        let folder = folder.path().join(format!("{} {density} {block}", network.len()));
        let sparsity = format!("[sparsity]\ndensity = {density}\nblock = {block}");
        train(&format!("[network]\n{network}\n{sparsity}"), &folder);
        folder
    });
    type Change = fn(&mut Vec<Array>);
    fn array<'a>(arrays: &'a mut [Array], name: &str) -> &'a mut Array {
        arrays.iter_mut().find(|array| array.name == name).unwrap()
    }
    fn set(array: &mut Array, place: usize, word: [u8; 4]) {
        array.data[4 * place..][..4].copy_from_slice(&word);
    }
    const CROW: &str = "layers.0.weight.crow_indices";
    let [sparse, dense, blocks, kinds] = &folders;
    let table: &[(&Path, Change, &str)] = &[
        (
            sparse,
            |it| set(array(it, "layers.0.weight.values"), 5, f32::NAN.to_le_bytes()),
            "\"layers.0.weight.values\" holds NaN at place 5",
        ),
        (
            sparse,
            |it| set(array(it, "layers.1.bias"), 2, f32::INFINITY.to_le_bytes()),
            "\"layers.1.bias\" holds inf at place 2",
        ),
        (
            dense,
            |it| set(array(it, "layers.1.weight"), 9, f32::NEG_INFINITY.to_le_bytes()),
            "\"layers.1.weight\" holds -inf at row 1, column 1",
        ),
        (
            dense,
            |it| array(it, "layers.1.weight").shape = vec![8, 10],
            "\"layers.1.weight\" has the shape [8, 10], the network asks for [10, 8]",
        ),
        (
            sparse,
            |it| array(it, "layers.0.bias").shape = vec![2, 4],
            "\"layers.0.bias\" has the shape [2, 4], the network asks for [8]",
        ),
        (sparse, |it| set(array(it, CROW), 3, 70_000u32.to_le_bytes()), "row 2 ends at 70000 of"),
        (sparse, |it| set(array(it, CROW), 3, 0u32.to_le_bytes()), "crow_indices falls at row 2"),
        (sparse, |it| array(it, CROW).dtype = Dtype::F32, "holds F32, not I32"),
        (sparse, |it| it.retain(|array| array.name != "layers.0.bias"), "lacks \"layers.0.bias\""),
        (
            dense,
            |it| {
                let data = vec![0; 8];
                it.push(Array { name: "layers.2.bias".into(), dtype: Dtype::F32, shape: vec![2], data });
            },
            "holds \"layers.2.bias\", which the network does not have",
        ),
        (
            blocks,
            |it| set(array(it, "layers.0.weight.block"), 0, 3u32.to_le_bytes()),
            "\"layers.0.weight\": block is [3], not the rows of a block, 2, 4, 8 or 16, which divide the 8 rows",
        ),
        (
            blocks,
            |it| set(array(it, "layers.0.weight.block"), 0, 16u32.to_le_bytes()),
            "\"layers.0.weight\": block is [16], not the rows of a block",
        ),
        (
            kinds,
            |it| set(array(it, "layers.0.weight.block"), 0, 8u32.to_le_bytes()),
            "\"layers.0.weight\": block is [8], not the rows of a block, 2, 4, 8 or 16, which divide the 4 rows of a kind",
        ),
        (
            kinds,
            |it| set(array(it, "layers.1.weight_hh.block"), 0, 16u32.to_le_bytes()),
            "\"layers.1.weight_hh\": block is [16], not the rows of a block, 2, 4, 8 or 16, which divide the 12 rows of a kind",
        ),
        (blocks, |it| array(it, "layers.0.weight.block").cut(0), "block is [], not"),
        (
            blocks,
            |it| set(array(it, "layers.0.weight.block"), 0, 2u32.to_le_bytes()),
            "crow_indices has 3 entries for 4 rows",
        ),
        (
            blocks,
            |it| it.retain(|array| array.name != "layers.0.weight.block"),
            "\"layers.0.weight.values\" has the shape [",
        ),
        (blocks, |it| set(array(it, CROW), 1, 70_000u32.to_le_bytes()), "row 0 ends at 70000 of"),
        (blocks, |it| array(it, "layers.0.weight.values").cut(5), "has the shape [5], the network asks for"),
    ];
    for (folder, change, problem) in table {
        let path = folder.join("model.safetensors");
        let good = std::fs::read(&path).unwrap();
        let tensors = SafeTensors::deserialize(&good).unwrap();
        let mut arrays: Vec<Array> = tensors
            .iter()
            .map(|(name, tensor)| Array {
                name: name.into(),
                dtype: tensor.dtype(),
                shape: tensor.shape().to_vec(),
                data: tensor.data().to_vec(),
            })
            .collect();
        change(&mut arrays);
        let views = arrays.iter().map(|array| {
            (array.name.as_str(), TensorView::new(array.dtype, array.shape.clone(), &array.data).unwrap())
        });
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let error = refused(folder);
        assert!(error.contains(problem), "{problem}: {error}");
        std::fs::write(&path, good).unwrap();
    }
}

/// Whoever changes a file on purpose leaves its checksum out. Older files have none.
pub fn without_checksum(file: &[u8]) -> Vec<u8> {
    let (key, other) = (b"\"checksum\"", b"\"unsigned\"");
    let at = file.windows(key.len()).position(|bytes| bytes == key).expect("a file has a checksum");
    [&file[..at], other, &file[at + key.len()..]].concat()
}

/// Nothing else tells most of the changes from a good file.
#[test]
fn a_bit_that_flipped_anywhere_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train("[sparsity]\ndensity = 0.5\n[network]\nhidden = [8]", &run);
    let [arrays, checkpoint] =
        ["model", "checkpoint"].map(|name| run.join(name).with_extension("safetensors"));
    let alone = folder.path().join("alone.safetensors");
    Model::open(&run).unwrap().save(&alone).unwrap();
    type Open = Box<dyn Fn() -> Option<rarefy::Error>>;
    let (of_run, of_file) = (run.clone(), alone.clone());
    let cases: [(_, Open); 3] = [
        (arrays, Box::new(move || Model::open(&of_run).err())),
        (alone, Box::new(move || Model::open(&of_file).err())),
        (checkpoint, Box::new(move || Run::resume(&run, |settings| settings.threads = 1).err())),
    ];
    for (path, open) in cases {
        let good = std::fs::read(&path).unwrap();
        let error = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            open().map(|error| error.to_string())
        };
        let start = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
        let text = good[..start].trim_ascii_end().len();
        // The key itself: then the file is as those of older versions.
        let key = good.windows(10).position(|bytes| bytes == b"\"checksum\"").unwrap();
        let places = (0..text).step_by(7).filter(|place| !(key..key + 10).contains(place));
        for place in places.chain((start..good.len()).step_by(29)) {
            let mut flipped = good.clone();
            flipped[place] ^= 1 << (place % 8);
            let error = error(&flipped).unwrap_or_else(|| panic!("{}: byte {place}", path.display()));
            assert!(error.contains(path.to_str().unwrap()), "byte {place}: {error}");
            assert!(place < start || error.contains("is damaged: its checksum is"), "byte {place}: {error}");
        }
        let mut changed = without_checksum(&good);
        assert_eq!(error(&changed), None);
        // The first number's lowest bit; floats come before indices.
        changed[start] ^= 1;
        assert_eq!(error(&changed), None);
    }
}

/// Of each kind of model a few fields, and what is said of another value there.
#[test]
#[expect(clippy::too_many_lines, reason = "a row for each fault")]
fn a_description_agrees_with_itself_and_the_arrays() {
    const HUGE: u64 = 1 << 50;
    let digits = "[network]\nhidden = [8]";
    let image = "[network]\nlayers = [{layer = 'conv2d', filters = 4, kernel = 3, padding = 'same'}, {layer = 'flatten'}, {layer = 'linear'}]
        [data]\nshape = [8, 8, 1]";
    let table = "[data]\npath = 'FOLDER/table.csv'\nlabel = 'y'\ntask = 'regression'\n[train]\nbatch_size = 8\n[network]\nhidden = [4]";
    let bag = "[data]\npath = 'FOLDER/texts.csv'\nlabel = 'y'\ntext.column = 'text'\n[train]\nbatch_size = 8\n[network]\nhidden = [4]";
    let language = "[data]\npath = 'FOLDER/text.txt'\ntask = 'language-model'\ntext.tokens.context = 8\ntext.tokens.kind = 'byte-pairs'
        [train]\nbatch_size = 4\n[network]\nlayers = [{layer = 'embedding', channels = 4}, {layer = 'lstm', hidden = 4}, {layer = 'linear'}]";
    let spec = "/network/layers";
    let column = |index: usize, rest: &str| format!("/preparation/columns/{index}/{rest}");
    let text = |rest: &str| column(0, &format!("coding/text/{rest}"));
    #[rustfmt::skip]
    let cases: Vec<(&str, String, Value, &str)> = vec![
        (digits, "/network/inputs".into(), json!(65), "the network takes 65, and its data is 8 x 8 x 1"),
        (digits, format!("{spec}/0/outputs"), json!(9), "the network has 666 cells, and had 592 when it was trained"),
        (digits, format!("{spec}/0/outputs"), json!(7), "\"layers.0.weight\""),
        (digits, format!("{spec}/0/outputs"), json!(HUGE), "outputs may be at most 16777216"),
        (digits, format!("{spec}/0/outputs"), json!(1 << 24), "and had 592 when it was trained"),
        (digits, format!("{spec}/1/outputs"), json!(11), "asks for 10"),
        (digits, "/preparation/inputs".into(), json!(HUGE), "more than the"),
        (digits, "/preparation/inputs".into(), json!([HUGE, HUGE, HUGE]), "more than the"),
        (digits, "/preparation/outputs".into(), json!(9), "there are 9 outputs for 10"),
        (digits, "/preparation/classes/3".into(), json!("4"), "a class is there twice"),
        (digits, "/preparation/constant_inputs".into(), json!(65), "65 of 64 inputs are constant"),
        (digits, "/preparation/format".into(), json!("images"), "Images files are not read like that"),
        (digits, "/preparation/units".into(), json!("words"), "units are what a transcription"),
        (digits, "/preparation/task".into(), json!("regression"), "Regression has no classes"),
        (image, format!("{spec}/0/kernel"), json!([HUGE, HUGE]), "may be at most 1048576"),
        (image, format!("{spec}/0/padding"), json!(HUGE), "may be at most 1048576"),
        (image, format!("{spec}/0/groups"), json!(0), "must be at least 1"),
        (table, column(0, "position"), json!(1), "two columns stand at the same place"),
        (table, column(1, "position"), json!(9), "a column stands beyond the 3"),
        (table, column(1, "coding/category/values/0"), json!("red"), "has a category twice"),
        (table, column(0, "coding"), json!({"category": {"values": ["a", "b"]}}), "the columns make 4 inputs"),
        (table, "/preparation/scaler/columns/offsets".into(), json!([0.0]), "1 offsets and 3 multipliers"),
        (table, "/preparation/shifts".into(), json!([{"column": 9, "origin": 0.0, "unit": 1.0}]), "is no column of numbers"),
        (table, "/preparation/shifts".into(), json!([{"column": 0, "origin": 0.0, "unit": 0.0}]), "is not above 0"),
        (table, "/preparation/dialect".into(), json!(null), "nothing says how its CSV file is laid out"),
        (table, "/preparation/dialect/delimiter".into(), json!("\""), "cannot separate cells"),
        (table, "/preparation/target_scaler/standard/means".into(), json!([]), "[0, 1] means and deviations"),
        (table, "/head".into(), json!("softmax"), "the head Softmax is not for the task Regression"),
        (bag, text("bag/features/known"), json!(["a"]), "have a count of documents"),
        (bag, text("bag/features"), json!({"hashed": 63}), "words are hashed to 63 bits"),
        (bag, text("bag/ngrams"), json!(HUGE), "make no run"),
        (language, text("tokens/context"), json!(9), "the text makes 9 steps"),
        (language, text("tokens/tokenizer"), json!({"byte-pairs": []}), "outputs for 260"),
        (language, format!("{spec}/0/vocabulary"), json!(5), "a vector for each of 5 tokens"),
        (language, format!("{spec}/0/channels"), json!(HUGE), "channels may be at most"),
        (language, format!("{spec}/1/hidden"), json!(HUGE), "hidden may be at most"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let row = |index: usize| format!("{},{},{}\n", index % 5, ["red", "blue"][index % 2], index % 7);
    std::fs::write(
        folder.path().join("table.csv"),
        format!("a,colour,y\n{}", (0..40).map(row).collect::<String>()),
    )
    .unwrap();
    let row =
        |index: usize| format!("{},{}\n", ["good so so", "bad so"][index % 2], ["yes", "no"][index % 2]);
    std::fs::write(
        folder.path().join("texts.csv"),
        format!("text,y\n{}", (0..40).map(row).collect::<String>()),
    )
    .unwrap();
    std::fs::write(folder.path().join("text.txt"), "to be or not to be ".repeat(40)).unwrap();
    let mut trained: Vec<&str> = Vec::new();
    for (settings, pointer, value, problem) in cases {
        let number = trained.iter().position(|known| *known == settings).unwrap_or(trained.len());
        let run = folder.path().join(number.to_string());
        if number == trained.len() {
            trained.push(settings);
            train(&settings.replace("FOLDER", folder.path().to_str().unwrap()), &run);
        }
        let path = run.join("config.json");
        let good = std::fs::read(&path).unwrap();
        let mut config: Value = serde_json::from_slice(&good).unwrap();
        match config.pointer_mut(&pointer) {
            Some(place) => *place = value,
            // What is left out where there is none.
            None => config["preparation"][pointer.rsplit('/').next().unwrap()] = value,
        }
        std::fs::write(&path, config.to_string()).unwrap();
        let error = refused(&run);
        assert!(error.contains(problem), "{pointer}: {problem}: {error}");
        std::fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_variance_is_not_negative() {
    let folder = tempfile::tempdir().unwrap();
    train(
        "[network]\nlayers = [{layer = 'flatten'}, {layer = 'batch-norm'}, {layer = 'linear'}]",
        folder.path(),
    );
    let file = folder.path().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let data = tensors.tensor("layers.1.variance").unwrap().data();
    let start = data.as_ptr() as usize - bytes.as_ptr() as usize;
    let mut changed = without_checksum(&bytes);
    changed[start + 8..][..4].copy_from_slice(&(-1f32).to_le_bytes());
    std::fs::write(&file, changed).unwrap();
    let error = refused(folder.path());
    assert!(error.contains("\"layers.1.variance\" holds -1 at place 2"), "{error}");
}

/// Each merge joins the token before it with itself: 40 of them would make a token of a terabyte.
#[test]
fn merges_do_not_double_without_end() {
    let merges: Vec<[u32; 2]> =
        std::iter::once([97, 97]).chain((0..40).map(|merge| [256 + merge; 2])).collect();
    let text = json!({"byte-pairs": merges}).to_string();
    let error = serde_json::from_str::<rarefy::data::text::Tokenizer>(&text).unwrap_err().to_string();
    assert!(error.contains("longer than a piece of text"), "{error}");
}
