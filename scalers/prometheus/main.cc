#include "scalers/prometheus/prometheus_scaler.h"

int main(int argc, char** argv) {
  return neap::sdk::Serve(neap::scalers::prometheus::Make(), argc, argv);
}
