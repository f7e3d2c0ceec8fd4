//! Under a schedule-free optimizer the saved model is the average of the points stepped from, to the last bit, and the
//! trained values stay what they were.

use rarefy::optimizers::Method;
use rarefy::train::{Control, Run, Settings};

#[test]
fn the_saved_model_is_the_average() {
    for method in [Method::ScheduleFreeSgd, Method::ScheduleFreeAdamw] {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("run");
        let mut settings = Settings::default();
        settings.network.hidden = vec![48];
        settings.optimizer.method = method;
        settings.train.epochs = 2;
        settings.train.keep_best = false;
        Run::start(settings, Some(&directory)).unwrap().train(&mut |_| Control::Continue).unwrap();
        let read = |file: &str| std::fs::read(directory.join(file)).unwrap();
        let (model, checkpoint) = (read("model.safetensors"), read("checkpoint.safetensors"));
        let model = safetensors::SafeTensors::deserialize(&model).unwrap();
        let checkpoint = safetensors::SafeTensors::deserialize(&checkpoint).unwrap();
        for (name, parameter) in [
            ("layers.0.weight.values", "layers.0.weight"),
            ("layers.0.bias", "layers.0.bias"),
            ("layers.1.bias", "layers.1.bias"),
        ] {
            let saved = model.tensor(name).unwrap().data().to_vec();
            let average = checkpoint.tensor(&format!("{parameter}.state.1")).unwrap().data().to_vec();
            let trained = checkpoint.tensor(name).unwrap().data().to_vec();
            assert!(saved == average, "{method:?}: {name} is not the average");
            assert!(saved != trained, "{method:?}: {name} is what was trained");
        }
    }
}
