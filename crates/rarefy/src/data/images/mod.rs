mod augment;
mod decode;
mod settings;
