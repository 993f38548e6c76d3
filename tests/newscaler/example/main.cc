#include "scalers/example/example_scaler.h"

int main(int argc, char** argv) {
  return neap::sdk::Serve(neap::scalers::example::Make(), argc, argv);
}
