#include "scalers/metrics-api/metrics_api_scaler.h"

int main(int argc, char** argv) {
  return neap::sdk::Serve(neap::scalers::metrics_api::Make(), argc, argv);
}
