#include "scalers/cron/cron_scaler.h"

int main(int argc, char** argv) {
  return neap::sdk::Serve(neap::scalers::cron::Make(), argc, argv);
}
