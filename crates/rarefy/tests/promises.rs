//! Promises that hold across files, a module each: one program, because each more would take seconds to build. Who counts memory or
//! needs other programs is a program of its own (`Cargo.toml`).

mod batches_are_sums;
mod bregman_networks_grow;
mod broken_models_are_refused;
mod connections_are_counted;
mod grown_connections_begin;
mod inputs_are_told;
mod lambda_paths;
mod library_from_memory;
mod methods_are_documented;
mod models_are_averages;
mod models_are_rebuilt;
mod networks;
mod networks_are_documented;
mod outputs_start_connected;
mod own_layers_train;
mod penalties_reach_their_optimum;
mod presets_train;
mod ranks_agree;
mod ranks_need_not_wait;
mod readme_is_true;
mod reference;
mod row_blocks;
mod rules_from_outside;
mod runs_are_judged;
mod runs_repeat;
mod samples_stay_on_disk;
mod small_networks;
mod sparse_input_changes_nothing;
mod state_follows_connections;
mod steps_are_their_formulas;
mod targets_are_hit;
mod targets_of_any_size;
mod threads_agree;
mod trainers_need_no_files;
mod whole_networks;
